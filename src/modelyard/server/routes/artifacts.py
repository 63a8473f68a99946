"""What the evaluations of a run left behind: JSON documents, such as confusion matrices."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from modelyard.api.artifacts import read_artifact
from modelyard.api.report.classes import read_confusion
from modelyard.domain.errors import NotFoundError
from modelyard.server.context import Here
from modelyard.server.views import View

router = APIRouter(tags=["artifacts"])

Step = Annotated[int | None, Query(ge=0, description="as of this step; by default the newest")]


class ArtifactHistory(View):
    """Of which steps an artifact is kept."""

    name: str
    steps: Sequence[int]
    """In order."""


class ArtifactView(View):
    """An artifact as of one step."""

    name: str
    step: int
    content: Any


class ClassFiguresView(View):
    """What a confusion matrix says of one class; null where it is not defined."""

    name: str
    support: int
    """How many samples have the class."""
    precision: float | None
    recall: float | None
    f1: float | None


class ConfusionView(View):
    """A confusion matrix."""

    artifact: str
    step: int
    classes: Sequence[ClassFiguresView]
    counts: Sequence[Sequence[int]]
    """Rows: true class; columns: predicted class."""


@router.get("/runs/{ref}/artifacts")
def artifacts(here: Here, ref: str) -> list[ArtifactHistory]:
    """List the artifacts of a run, by name."""
    found = here.store.artifacts.history(here.store.runs.get(ref).id)
    return [ArtifactHistory(name=name, steps=[step for _, step in steps]) for name, steps in found.items()]


@router.get("/runs/{ref}/artifacts/{name:path}")
def artifact(here: Here, ref: str, name: str, step: Step = None) -> ArtifactView:
    """Return an artifact."""
    found = read_artifact(here.store, here.store.runs.get(ref).id, name, step=step)
    return ArtifactView(name=found.name, step=found.step, content=found.content)


@router.get("/runs/{ref}/confusion/{name:path}")
def confusion(here: Here, ref: str, name: str, step: Step = None) -> ConfusionView:
    """Return an artifact that is a confusion matrix, and what it says of each class."""
    run = here.store.runs.get(ref)
    here.store.artifacts.get(run.id, name, step=step)
    found = read_confusion(here.store, run.id, name, step=step)
    if found is None:
        raise NotFoundError(f"{name} of run {run.name} is no confusion matrix that can be read")
    return ConfusionView.model_validate(found)
