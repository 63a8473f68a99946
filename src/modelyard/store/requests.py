"""What a user may ask of a run, and what each request does to it at once. All of it inside one write transaction."""

from typing import Any

from sqlalchemy import Connection, update

from modelyard.domain.control import ControlOp, Pause, Resume, Save, SetPriority, Stop, Tune
from modelyard.domain.errors import ConflictError
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.store import clock, following, operations
from modelyard.store.lifecycle import change_state
from modelyard.store.run_rows import Current
from modelyard.store.schema import runs

_S = RunState


def request(connection: Connection, run: Current, op: ControlOp, *, actor: str) -> int:
    """Accept ``op``, change the run's state as it asks, and return the operation's id. Raises ``ConflictError``."""
    match op:
        case Pause():
            return _pause(connection, run, op, actor=actor)
        case Stop():
            waiting = {_S.RUNNING: _S.STOPPING, _S.PAUSING: _S.STOPPING}
            target = (waiting | {_S.QUEUED: _S.STOPPED, _S.PAUSED: _S.STOPPED}).get(run.state)
            return _move(connection, run, op, target, actor=actor)
        case Resume():
            return _resume(connection, run, op, actor=actor)
        case Save():
            return _save(connection, run, op, actor=actor)
        case Tune():
            return _tune(connection, run, op, actor=actor)
        case SetPriority():
            return _set_priority(connection, run, op, actor=actor)


def _move(connection: Connection, run: Current, op: ControlOp, target: RunState | None, *, actor: str) -> int:
    """Open ``op`` and go to ``target``; reaching it acknowledges the operation if that was all it asked for."""
    if target is None:
        raise ConflictError(f"run {run.name} is {run.state} and cannot be asked to {op.kind}")
    op_id = operations.open_op(connection, run, op, actor=actor)
    change_state(connection, run, target, _reason(op, actor), actor=actor)
    return op_id


def _pause(connection: Connection, run: Current, op: Pause, *, actor: str) -> int:
    """Pause a run. One that waits for its search, whatever that decides, goes on when a person resumes it."""
    if run.state is not _S.PAUSED or run.reason_code is not ReasonCode.RUNG:
        target = {_S.RUNNING: _S.PAUSING, _S.QUEUED: _S.PAUSED}.get(run.state)
        return _move(connection, run, op, target, actor=actor)
    op_id = operations.open_op(connection, run, op, actor=actor)
    reason = _reason(op, actor)
    values = {"reason_code": reason.code, "reason_message": reason.message, "updated_at": clock.now()}
    connection.execute(update(runs).where(runs.c.key == run.key).values(values))
    operations.acknowledge(connection, run, op_id, applied_step=run.step, actor=actor)
    return op_id


def _resume(connection: Connection, run: Current, op: Resume, *, actor: str) -> int:
    if run.state not in {_S.PAUSED, _S.STOPPED, _S.FAILED, _S.COMPLETED}:
        raise ConflictError(f"run {run.name} is {run.state}; there is nothing to resume")
    if run.state is _S.COMPLETED and operations.pending_epochs(connection, run) <= run.epoch:
        raise ConflictError(
            f"run {run.name} is completed; raise its epochs first: modelyard tune {run.name} --epochs N"
        )
    op_id = operations.open_op(connection, run, op, actor=actor)
    values: dict[str, Any] = {"crashes": 0}
    if run.state is not _S.PAUSED or run.reason_code is ReasonCode.RUNG:
        values["until_epoch"] = None  # the search that made it has no say in it any more
    queued = change_state(connection, run, _S.QUEUED, _reason(op, actor), actor=actor, **values)
    operations.acknowledge(connection, queued, op_id, applied_step=run.step, actor=actor)
    return op_id


def _save(connection: Connection, run: Current, op: Save, *, actor: str) -> int:
    if run.state is not _S.RUNNING:
        raise ConflictError(f"run {run.name} is {run.state}, not training; its newest checkpoint is up to date")
    return operations.open_op(connection, run, op, actor=actor)


def _tune(connection: Connection, run: Current, op: Tune, *, actor: str) -> int:
    if run.state is _S.COMPLETED and (op.epochs or 0) <= run.epoch:
        raise ConflictError(
            f"run {run.name} is completed after {run.epoch} epochs; only more epochs change it: "
            f"modelyard tune {run.name} --epochs {run.epoch + 1}"
        )
    if op.epochs is not None and op.epochs <= run.epoch:
        raise ConflictError(
            f"run {run.name} has done {run.epoch} epochs already, so it cannot have {op.epochs}; to end it now: "
            f"modelyard stop {run.name}"
        )
    # Its steps are not those of others any more.
    following.release(connection, run)
    following.leave(connection, run)
    return operations.open_op(connection, run, op, actor=actor)


def _set_priority(connection: Connection, run: Current, op: SetPriority, *, actor: str) -> int:
    op_id = operations.open_op(connection, run, op, actor=actor)
    values = {"priority": op.priority, "updated_at": clock.now()}
    connection.execute(update(runs).where(runs.c.key == run.key).values(**values))
    following.overtake(connection, run)
    operations.acknowledge(connection, run, op_id, applied_step=run.step, actor=actor)
    return op_id


def _reason(op: ControlOp, actor: str) -> Reason:
    if isinstance(op, Stop) and op.reason is not None:
        return Reason(code=ReasonCode.SEARCH, message=op.reason)
    if isinstance(op, Pause) and op.reason is not None:
        return Reason(code=ReasonCode.MEMORY, message=op.reason)
    return Reason(code=ReasonCode.USER_REQUEST, message=f"{actor} asked to {op.kind}")
