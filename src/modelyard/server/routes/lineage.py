"""Where a run comes from, and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from fastapi import APIRouter

from modelyard.api.lineage import lineage
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.run import Run
from modelyard.server.context import Here
from modelyard.server.views import View

router = APIRouter(tags=["runs"])


class Relative(View):
    """A run, as another one names it."""

    id: str
    name: str
    created_at: datetime

    @classmethod
    def of(cls, run: Run | None) -> Self | None:
        """Return the view of a run, if there is one."""
        return None if run is None else cls.model_validate(run)


class StartView(View):
    """The checkpoint that a run began with."""

    checkpoint_id: str
    run: Relative | None
    """The run that saved it; null once that is deleted."""
    step: int
    epoch: int

    @classmethod
    def of(cls, checkpoint: Checkpoint | None, run: Run | None) -> Self | None:
        """Return the view of a checkpoint, if there is one."""
        if checkpoint is None:
            return None
        return cls(checkpoint_id=checkpoint.id, run=Relative.of(run), step=checkpoint.step, epoch=checkpoint.epoch)


class LineageView(View):
    """A run's relatives; null for one that is not there, or no longer."""

    parent: Relative | None
    """The run that it was cloned from."""
    start: StartView | None
    shared: Relative | None
    """The run that trained its first steps."""
    clones: Sequence[Relative]
    sharing: Sequence[Relative]
    """Runs whose first steps it trained."""


@router.get("/runs/{ref}/lineage")
def relatives(here: Here, ref: str) -> LineageView:
    """Say where a run comes from, and what came of it."""
    found = lineage(here.store, here.store.runs.get(ref))
    return LineageView(
        parent=Relative.of(found.parent),
        start=StartView.of(found.start, found.start_run),
        shared=Relative.of(found.shared),
        clones=[Relative.model_validate(one) for one in found.clones],
        sharing=[Relative.model_validate(one) for one in found.sharing],
    )
