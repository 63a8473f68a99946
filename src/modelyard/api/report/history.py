"""What happened to the runs of a report, how they were trained, and where clones come from."""

from collections.abc import Collection, Mapping, Sequence

from modelyard.api.report.model import Descent, Happening, Kind, Way
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.control import Tune, worded
from modelyard.domain.events import (
    AttemptStarted,
    CheckpointCorrupt,
    ControlAcknowledged,
    ControlRejected,
    ControlRequested,
    Event,
    EventPayload,
    ExecutionChanged,
    RunCreated,
    RunDeleted,
    RunStateChanged,
)
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.store import Store

MOST_HAPPENINGS = 200
_MOST_EVENTS = 50_000
_READ: tuple[type[EventPayload], ...] = (
    AttemptStarted,
    CheckpointCorrupt,
    ControlAcknowledged,
    ControlRejected,
    ControlRequested,
    ExecutionChanged,
    RunCreated,
    RunDeleted,
    RunStateChanged,
)
_BY_REASON = {ReasonCode.LEASE_LOST: Kind.LOST, ReasonCode.RETRIES_EXHAUSTED: Kind.LOST}
_BY_STATE = {RunState.FAILED: Kind.FAILED, RunState.PAUSED: Kind.PAUSED, RunState.STOPPED: Kind.STOPPED}


def read_events(store: Store, runs: Sequence[Run]) -> list[Event]:
    """Return the newest events of the runs' experiments that a report can use. One query."""
    types = [str(payload.model_fields["type"].default) for payload in _READ]
    return store.events.history({run.experiment_id for run in runs}, types, limit=_MOST_EVENTS)


def find_happenings(
    events: Sequence[Event], runs: Sequence[Run], whole: Collection[str]
) -> tuple[tuple[Happening, ...], int]:
    """Return the newest happenings, oldest first, and how many older ones were left out.

    ``whole`` are the experiments of which the report has every run: what was deleted from them is told, too.
    """
    names = {run.id: run.name for run in runs}
    askers = {event.payload.op_id: event.actor for event in events if isinstance(event.payload, ControlRequested)}
    found = []
    for event in events:
        told = _tell(event.payload, event.actor, askers)
        mine = event.run_id in names or (isinstance(event.payload, RunDeleted) and event.experiment_id in whole)
        if told is not None and mine:
            kind, what = told
            name = event.payload.name if isinstance(event.payload, RunDeleted) else names.get(event.run_id or "", "")
            found.append(Happening(time=event.time, kind=kind, run_id=event.run_id, run=name, what=what))
    return tuple(found[-MOST_HAPPENINGS:]), max(0, len(found) - MOST_HAPPENINGS)


def _tell(payload: EventPayload, actor: str, askers: Mapping[int, str]) -> tuple[Kind, str] | None:
    """Say what an event means to a reader; None if it is everyday life."""
    if isinstance(payload, RunStateChanged):
        kind = _BY_REASON.get(payload.reason.code) or _BY_STATE.get(payload.after)
        return None if kind is None else (kind, f"step {payload.step}: {payload.reason.message}")
    if isinstance(payload, RunCreated) and payload.parent_id is not None:
        return Kind.CLONED, f"by {actor}"
    if isinstance(payload, RunDeleted):
        return Kind.DELETED, f"by {actor}"
    if isinstance(payload, CheckpointCorrupt):
        return Kind.CORRUPT, payload.message
    return _tell_request(payload, askers)


def _tell_request(payload: EventPayload, askers: Mapping[int, str]) -> tuple[Kind, str] | None:
    """Say what became of a request; ``askers`` are those who made them, by the operation's id."""
    if isinstance(payload, ControlAcknowledged) and isinstance(payload.op, Tune):
        return Kind.TUNED, f"step {payload.applied_step}: {worded(payload.op)}{_by(payload.op_id, askers)}"
    if isinstance(payload, ControlRejected):
        return Kind.REFUSED, f"{worded(payload.op)}{_by(payload.op_id, askers)}: {payload.message}"
    return None


def _by(op_id: int, askers: Mapping[int, str]) -> str:
    return f", by {askers[op_id]}" if op_id in askers else ""


def find_ways(events: Sequence[Event], runs: Sequence[Run]) -> tuple[Way, ...]:
    """Group the runs by how they were trained last, the most frequent way first."""
    devices: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for event in events:
        if isinstance(event.payload, AttemptStarted):
            devices[event.run_id or ""] = event.payload.device
        if isinstance(event.payload, AttemptStarted | ExecutionChanged) and event.payload.reason:
            reasons[event.run_id or ""] = event.payload.reason
    groups: dict[tuple[str, int, float | None, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.execution, run.stack_size, run.gain, reasons.get(run.id, "")), []).append(run)
    ways = [
        Way(
            execution=execution,
            group=size,
            gain=gain,
            runs=len(members),
            devices=tuple(sorted({devices[run.id] for run in members if run.id in devices})),
            reason=reason,
        )
        for (execution, size, gain, reason), members in groups.items()
    ]
    return tuple(sorted(ways, key=lambda way: -way.runs))


def find_descents(store: Store, runs: Sequence[Run]) -> tuple[Descent, ...]:
    """Return where each clone comes from. At most three queries."""
    clones = [run for run in runs if run.parent_id is not None]
    if not clones:
        return ()
    starts = [run.warm_start for run in clones if run.warm_start is not None]
    checkpoints = store.checkpoints.named(starts) if starts else {}
    parents = [run.parent_id for run in clones if run.parent_id is not None]
    names = store.runs.names([*parents, *(checkpoint.run_id for checkpoint in checkpoints.values())])
    return tuple(
        Descent(run=run.name, parent=names.get(run.parent_id or ""), warm_start=_weights(run, checkpoints, names))
        for run in clones
    )


def _weights(run: Run, checkpoints: Mapping[str, Checkpoint], names: Mapping[str, str]) -> str | None:
    if run.warm_start is None:
        return None
    checkpoint = checkpoints.get(run.warm_start)
    inherited = " with the optimizer's state" if run.inherit_optimizer else ""
    if checkpoint is None:
        return f"checkpoint {run.warm_start}, which is gone{inherited}"
    owner = names.get(checkpoint.run_id, "a deleted run")
    return f"{owner} at step {checkpoint.step} (checkpoint {checkpoint.id}){inherited}"
