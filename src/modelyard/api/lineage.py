"""Where a run comes from, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.errors import NotFoundError
from modelyard.domain.run import Run
from modelyard.store import Store


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A run's relatives. None for one that is not there, or no longer."""

    parent: Run | None
    """The run that it was cloned from."""
    start: Checkpoint | None
    """The checkpoint whose weights it began with."""
    start_run: Run | None
    """The run that saved that checkpoint."""
    shared: Run | None
    """The run that trained its first steps."""
    clones: Sequence[Run]
    sharing: Sequence[Run]
    """Runs whose first steps it trained."""


def lineage(store: Store, run: Run) -> Lineage:
    """Return where a run comes from, and what came of it."""
    start = None if run.warm_start is None else store.checkpoints.named([run.warm_start]).get(run.warm_start)
    shared = _find(store, run.shared_with or None)
    found = store.runs.descendants(run)
    return Lineage(
        parent=_find(store, run.parent_id),
        start=start,
        start_run=None if start is None else _find(store, start.run_id),
        shared=shared if shared is not None and shared.experiment_id == run.experiment_id else None,
        clones=[one for one in found if one.parent_id == run.id],
        sharing=[one for one in found if one.parent_id != run.id],
    )


def _find(store: Store, ref: str | None) -> Run | None:
    try:
        return None if ref is None else store.runs.get(ref)
    except NotFoundError:
        return None
