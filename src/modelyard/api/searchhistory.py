"""What happened in a search, in order: what it decided, what people did to its runs, and which of them failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelyard.domain.control import Stop, worded
from modelyard.domain.events import (
    ControlRejected,
    ControlRequested,
    Event,
    EventPayload,
    RunCreated,
    RunDeleted,
    RunStateChanged,
    SearchDecided,
)
from modelyard.domain.run import Experiment, Run, RunState
from modelyard.store import Store
from modelyard.store.searches import ACTOR as SEARCH

MOST_EVENTS = 50_000
_READ: tuple[type[EventPayload], ...] = (
    ControlRejected,
    ControlRequested,
    RunCreated,
    RunDeleted,
    RunStateChanged,
    SearchDecided,
)
_ENGINE = "engine"


@dataclass(frozen=True, kw_only=True)
class SearchStep:
    """One thing that happened in a search."""

    time: datetime
    kind: str
    """A decision (``promote``), a request (``pause``), or ``clone``, ``delete``, ``refused``, ``failed``."""
    trial: int | None
    run: str
    """The run's name; empty for the search itself."""
    epoch: int | None
    """Where the trial was, and the epoch that it trains to from there; only decisions have them."""
    until: int | None
    reason: str
    actor: str
    """``search``, ``engine``, or the login name of whoever did it."""


def search_history(store: Store, experiment: Experiment, runs: Sequence[Run]) -> tuple[SearchStep, ...]:
    """Return the newest things that happened, oldest first; ``runs`` are those that there are now. One query."""
    types = [str(payload.model_fields["type"].default) for payload in _READ]
    events = store.events.history({experiment.id}, types, limit=MOST_EVENTS)
    names = {event.run_id: event.payload.name for event in events if isinstance(event.payload, RunCreated)}
    names |= {run.id: run.name for run in runs}
    trials = {run.id: run.trial for run in runs}
    of_trial = {run.trial: run.name for run in runs}
    return tuple(_steps(events, names, trials, of_trial))


def _steps(
    events: Sequence[Event],
    names: Mapping[str | None, str],
    trials: Mapping[str, int | None],
    of_trial: Mapping[int | None, str],
) -> Iterator[SearchStep]:
    for event in events:
        payload = event.payload
        if isinstance(payload, SearchDecided):
            one = payload.decision
            yield SearchStep(
                time=event.time,
                kind=one.kind.value,
                trial=one.trial,
                run="" if one.trial is None else of_trial.get(one.trial, ""),
                epoch=one.epoch,
                until=one.until,
                reason=one.reason,
                actor=SEARCH,
            )
        elif (told := _tell(payload, event.actor, names)) is not None:
            kind, reason, actor = told
            yield SearchStep(
                time=event.time,
                kind=kind,
                trial=trials.get(event.run_id or ""),
                run=names.get(event.run_id, ""),
                epoch=None,
                until=None,
                reason=reason,
                actor=actor,
            )


def _tell(payload: EventPayload, actor: str, names: Mapping[str | None, str]) -> tuple[str, str, str] | None:
    """Return kind, reason and actor of what was not a decision; None for what only carries one out."""
    if isinstance(payload, ControlRequested) and not (isinstance(payload.op, Stop) and payload.op.reason is not None):
        return payload.op.kind, f"{actor} asked to {worded(payload.op)}", actor
    if isinstance(payload, ControlRejected):
        return "refused", f"{payload.op.kind}: {payload.message}", _ENGINE
    if isinstance(payload, RunStateChanged) and payload.after is RunState.FAILED:
        return "failed", f"step {payload.step}: {payload.reason.message}", _ENGINE
    if isinstance(payload, RunCreated) and payload.parent_id is not None and actor != SEARCH:
        return "clone", f"{actor} cloned it from {names.get(payload.parent_id, 'a deleted run')}", actor
    if isinstance(payload, RunDeleted):
        return "delete", f"{actor} deleted it", actor
    return None
