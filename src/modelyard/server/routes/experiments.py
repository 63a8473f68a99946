"""Projects and experiments."""

import json
from http import HTTPStatus

from fastapi import APIRouter

from modelyard.server.context import Actor, Here
from modelyard.server.listing import list_experiments, list_projects
from modelyard.server.storage import CollectedView, collected_view
from modelyard.server.submitting import Submission, Validated, submit, validate_submission
from modelyard.server.views import ExperimentDetail, ExperimentView, ProjectView, experiment_view

router = APIRouter(tags=["experiments"])


@router.get("/projects")
def projects(here: Here) -> list[ProjectView]:
    """List projects with how many of their runs are in which state."""
    return list_projects(here.store)


@router.get("/experiments")
def experiments(here: Here, project: str | None = None) -> list[ExperimentView]:
    """List experiments, newest first."""
    return list_experiments(here.store, project)


@router.post("/experiments", status_code=HTTPStatus.CREATED)
def create(here: Here, actor: Actor, submission: Submission) -> ExperimentView:
    """Check a sweep, down to its data and models, and queue its runs."""

    def work() -> ExperimentView:
        return submit(here.store, submission, actor=actor)

    return here.submitted.do(f"{actor}/{submission.key}", work) if submission.key else work()


@router.post("/experiments/validate")
def validate(submission: Submission) -> Validated:
    """Check a sweep as one types: its fields alone, without opening data; nothing is created."""
    return validate_submission(submission)


@router.get("/experiments/{ref}")
def experiment(here: Here, ref: str) -> ExperimentDetail:
    """Return an experiment by id, name, or the start of an id."""
    found = here.store.experiments.get(ref)
    counts = here.store.runs.count_states().get(found.id, {})
    view = experiment_view(found, counts)
    return ExperimentDetail(**dict(view), sweep=json.loads(found.sweep_json), sweep_hash=found.sweep_hash)


@router.delete("/experiments/{ref}")
def delete(here: Here, actor: Actor, ref: str) -> CollectedView:
    """Delete an experiment with all of its runs and what only they need, and say what that freed."""
    return collected_view(here.store.experiments.delete(here.store.experiments.get(ref).id, actor=actor))
