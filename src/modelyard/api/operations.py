"""Control operations on several runs at once: request, then wait for what became of each."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from modelyard.agent.presence import unknown_holders
from modelyard.api.search import end_search
from modelyard.api.targets import Target, find_target
from modelyard.domain.control import (
    ControlOp,
    ControlRecord,
    OpStatus,
    Pause,
    Resume,
    SetPriority,
    Stop,
    Tune,
    changes_of,
)
from modelyard.domain.errors import ConflictError, NotFoundError
from modelyard.domain.run import ACTIVE, ReasonCode, Run, RunState
from modelyard.store import LeaseObserver, Store

DEFAULT_TIMEOUT = 35.0
"""Seconds that a request waits for its acknowledgement; longer than a dead process on another host can seem alive."""

_POLL_SECONDS = 0.02

_S = RunState
_ALREADY: dict[str, tuple[RunState, RunState]] = {
    Pause().kind: (_S.PAUSING, _S.PAUSED),
    Stop().kind: (_S.STOPPING, _S.STOPPED),
}
"""The states of a run that is, or is about to be, what an operation would make of it: asking twice is no mistake."""
_APPLIES_TO: dict[str, frozenset[RunState]] = {
    Pause().kind: frozenset({_S.QUEUED, _S.RUNNING}),
    Stop().kind: frozenset({_S.QUEUED, _S.RUNNING, _S.PAUSING, _S.PAUSED}),
    Resume().kind: frozenset({_S.PAUSED, _S.STOPPED, _S.FAILED}),
    "tune": frozenset({_S.QUEUED, _S.RUNNING, _S.PAUSING, _S.PAUSED}),
    "priority": frozenset(RunState) - {_S.COMPLETED, _S.STOPPED, _S.FAILED},
}
"""Which runs of an experiment an operation on the whole experiment is meant for."""
_OF_THE_SEARCH = frozenset({ReasonCode.RUNG, ReasonCode.SEARCH})
"""Why runs are paused or stopped that go on only if the search says so, or somebody names them."""


class Result(StrEnum):
    """What became of a request to one run."""

    DONE = "done"
    PENDING = "pending"
    REJECTED = "rejected"
    REFUSED = "refused"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """What became of a request to one run; ``run`` is a snapshot taken afterwards."""

    run: Run
    result: Result
    message: str
    applied_step: int | None = None
    op_id: int | None = None


def request(
    store: Store, refs: Sequence[str], op: ControlOp, *, actor: str, timeout: float = DEFAULT_TIMEOUT
) -> list[Outcome]:
    """Ask ``op`` of every named run, and of the runs of named experiments that it is meant for.

    Waits up to ``timeout`` seconds (0: not at all) until the engines have acknowledged. A run that cannot do it gets
    ``REFUSED``, and the others go on. Raises ``NotFoundError`` before anything is asked.
    """
    observer = LeaseObserver()
    settle(store, observer)
    outcomes: dict[str, Outcome] = {}
    for target in [find_target(store, ref) for ref in refs]:
        if isinstance(op, Stop) and target.experiment is not None:
            end_search(store, target.experiment, f"the experiment was stopped by {actor}")
        for run in target.runs:
            outcomes.setdefault(run.id, _ask(store, target, run, op, actor))
    return _wait(store, list(outcomes.values()), timeout, observer)


def request_runs(store: Store, runs: Iterable[Run], op: ControlOp, *, actor: str) -> list[Outcome]:
    """Ask ``op`` of those runs that it is meant for, without waiting."""
    target = Target("", tuple(runs), None)
    return [_ask(store, target, run, op, actor) for run in target.runs if run.state in _APPLIES_TO[op.kind]]


def settle(store: Store, observer: LeaseObserver | None = None) -> None:
    """Give back the runs of processes that died, so that no list shows them as running.

    Whoever calls this again and again passes the same ``observer``: a process that cannot be known from here (another
    host, before a restart) is found dead only by one who has watched it for 30 seconds. Where the home cannot be
    written, they stay as they are.
    """
    if store.database.read_only:
        return
    store.leases.reap(observer or LeaseObserver())


def settle_unknown(store: Store, runs: Collection[Run]) -> None:
    """Wait until each process that holds some of ``runs`` and cannot be known from here has beaten or is given up."""
    observer = LeaseObserver()
    beats = {worker.id: worker.beat for worker in unknown_holders(store, runs)}
    deadline = time.monotonic() + DEFAULT_TIMEOUT
    while beats and time.monotonic() < deadline:
        settle(store, observer)
        now = {worker.id: worker.beat for worker in store.leases.workers()}
        beats = {worker_id: beat for worker_id, beat in beats.items() if now.get(worker_id) == beat}
        time.sleep(_POLL_SECONDS)


def wait_for(
    store: Store, record: ControlRecord, *, timeout: float, observer: LeaseObserver | None = None
) -> ControlRecord:
    """Wait until an operation is no longer pending, at most ``timeout`` seconds; return it as it is then."""
    observer = observer or LeaseObserver()
    deadline = time.monotonic() + timeout
    while record.status is OpStatus.PENDING and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        settle(store, observer)
        record = store.controls.get(record.id)
    return record


def check(outcomes: Sequence[Outcome]) -> None:
    """Raise ``ConflictError`` if a run refused, or if there was nothing that the operation is meant for."""
    bad = [outcome for outcome in outcomes if outcome.result in {Result.REFUSED, Result.REJECTED}]
    if bad:
        raise ConflictError("\n".join(f"{outcome.run.name}: {outcome.message}" for outcome in bad))
    if outcomes and all(outcome.result is Result.SKIPPED for outcome in outcomes):
        raise ConflictError("nothing to do: " + "; ".join(f"{o.run.name}: {o.message}" for o in outcomes))


def _ask(store: Store, target: Target, run: Run, op: ControlOp, actor: str) -> Outcome:
    if target.experiment is not None and run.state not in _meant_for(op):
        return Outcome(run, Result.SKIPPED, f"is {run.state.value}")
    if target.experiment is not None and isinstance(op, Resume) and run.reason.code in _OF_THE_SEARCH:
        return Outcome(run, Result.SKIPPED, run.why)
    try:
        record = store.runs.request(run.id, op, actor=actor)
    except ConflictError as error:
        return _already(store, run, op) or Outcome(run, Result.REFUSED, str(error))
    except NotFoundError as error:
        return Outcome(run, Result.REFUSED, str(error))
    return _outcome(run, record)


def _already(store: Store, run: Run, op: ControlOp) -> Outcome | None:
    """Return the outcome for a run that somebody else asked for the same."""
    now = _fresh(store, run)
    coming, there = _ALREADY.get(op.kind, (None, None))
    if now.state is there:
        return Outcome(now, Result.DONE, f"already {now.state.value} at step {now.step}", now.step)
    if now.state is not coming:
        return None
    asked = [record for record in store.controls.pending([run.id]) if record.op.kind == op.kind]
    return _outcome(now, asked[-1]) if asked else _already(store, now, op)


def _meant_for(op: ControlOp) -> frozenset[RunState]:
    states = _APPLIES_TO[op.kind]
    return states | {RunState.COMPLETED} if isinstance(op, Tune) and op.epochs is not None else states


def _wait(store: Store, outcomes: Sequence[Outcome], timeout: float, observer: LeaseObserver) -> list[Outcome]:
    deadline = time.monotonic() + timeout
    return [_waited(store, outcome, deadline, observer) for outcome in outcomes]


def _waited(store: Store, outcome: Outcome, deadline: float, observer: LeaseObserver) -> Outcome:
    if outcome.result is Result.PENDING and outcome.op_id is not None:
        record = store.controls.get(outcome.op_id)
        # A run that does not train now (a tune of a paused one) will not acknowledge while we wait.
        if store.runs.get(outcome.run.id).state in ACTIVE:
            left = max(0.0, deadline - time.monotonic())
            record = wait_for(store, record, timeout=left, observer=observer)
        return _outcome(_fresh(store, outcome.run), record)
    return replace(outcome, run=_fresh(store, outcome.run))


def _fresh(store: Store, run: Run) -> Run:
    try:
        return store.runs.get(run.id)
    except NotFoundError:
        return run


def _outcome(run: Run, record: ControlRecord) -> Outcome:
    step = record.applied_step
    if record.status is OpStatus.ACKNOWLEDGED:
        return Outcome(run, Result.DONE, _said(record), step, record.id)
    if record.status is OpStatus.REJECTED:
        return Outcome(run, Result.REJECTED, record.message or "rejected", step, record.id)
    return Outcome(run, Result.PENDING, _pending(run), None, record.id)


def _pending(run: Run) -> str:
    if run.notice:
        return f"requested; it takes effect once the run goes on ({run.notice})"
    if run.state in ACTIVE:
        return "requested, but not acknowledged yet; it takes effect at the run's next step"
    return f"stored; it takes effect when the run trains next (it is {run.state.value})"


def _said(record: ControlRecord) -> str:
    at = "" if record.applied_step is None else f" at step {record.applied_step}"
    if isinstance(record.op, SetPriority):
        return f"priority {record.op.priority}"
    if isinstance(record.op, Tune):
        return ", ".join(f"{name} {value:g}" for name, value in changes_of(record.op).items()) + at
    return {"pause": "paused", "stop": "stopped", "resume": "queued", "save": "saved"}[record.op.kind] + at
