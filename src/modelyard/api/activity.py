"""Everything that happened, newest first, with the names of what it happened to: also of what was deleted since."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from modelyard.domain.errors import NotFoundError
from modelyard.domain.events import Event, ExperimentDeleted, RunDeleted
from modelyard.store import Store

MOST_DELETED = 10_000
"""What was deleted is found by its name among the newest so many."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A run or an experiment that events tell of."""

    name: str
    exists: bool


@dataclass(frozen=True, kw_only=True)
class Activity:
    """One page of what happened."""

    events: Sequence[Event]
    """Newest first."""
    next: int | None
    """Go on before this number; None where nothing is left."""
    runs: Mapping[str, Named]
    experiments: Mapping[str, Named]


def activity(
    store: Store,
    *,
    before: int | None = None,
    limit: int = 100,
    types: Collection[str] = (),
    actor: str = "",
    run: str | None = None,
    experiment: str | None = None,
) -> Activity:
    """Return what happened before the event with the number ``before``, or until now.

    ``run`` and ``experiment`` are names or ids, those of what was deleted included. Raises ``NotFoundError`` for what
    never was.
    """
    found = store.events.newest(
        before=before,
        limit=limit + 1,
        types=types,
        actor=actor,
        run_id=None if run is None else _run_id(store, run),
        experiment_id=None if experiment is None else _experiment_id(store, experiment),
    )
    page = found[:limit]
    return Activity(
        events=page,
        next=page[-1].seq if len(found) > limit else None,
        runs=_runs(store, {event.run_id for event in page if event.run_id is not None}),
        experiments=_experiments(store, {event.experiment_id for event in page if event.experiment_id is not None}),
    )


def _run_id(store: Store, ref: str) -> str:
    try:
        return store.runs.get(ref).id
    except NotFoundError:
        for event in store.events.newest(types=["run.deleted"], limit=MOST_DELETED):
            assert isinstance(event.payload, RunDeleted)
            if event.run_id is not None and ref in {event.run_id, event.payload.name}:
                return event.run_id
        raise


def _experiment_id(store: Store, ref: str) -> str:
    try:
        return store.experiments.get(ref).id
    except NotFoundError:
        for event in store.events.newest(types=["experiment.deleted"], limit=MOST_DELETED):
            assert isinstance(event.payload, ExperimentDeleted)
            if event.experiment_id is not None and ref in {event.experiment_id, event.payload.name}:
                return event.experiment_id
        raise


def _runs(store: Store, ids: Collection[str]) -> dict[str, Named]:
    found = {run_id: Named(name=name, exists=True) for run_id, name in store.runs.names(ids).items()}
    for event in store.events.about(["run.deleted"], run_ids=ids - found.keys()):
        if event.run_id is not None and isinstance(event.payload, RunDeleted):
            found[event.run_id] = Named(name=event.payload.name, exists=False)
    return found


def _experiments(store: Store, ids: Collection[str]) -> dict[str, Named]:
    found = {one.id: Named(name=one.name, exists=True) for one in store.experiments.list() if one.id in ids}
    for event in store.events.about(["experiment.deleted"], experiment_ids=ids - found.keys()):
        if event.experiment_id is not None and isinstance(event.payload, ExperimentDeleted):
            found[event.experiment_id] = Named(name=event.payload.name, exists=False)
    return found
