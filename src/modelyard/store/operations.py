"""Writes control operations: opened by a request, closed once by whoever carries it out."""

from sqlalchemy import Connection, insert, update

from modelyard.domain.control import ControlOp, ControlRecord, OpStatus, Pause, Save, Stop, Tune
from modelyard.domain.errors import ConflictError
from modelyard.domain.events import ControlAcknowledged, ControlRejected, ControlRequested
from modelyard.domain.run import Reason, ReasonCode, RunState, asked_for
from modelyard.store import clock, eventfeed
from modelyard.store.controls import op_record, op_records
from modelyard.store.run_rows import Current
from modelyard.store.schema import control_ops

_S = RunState


def open_op(connection: Connection, run: Current, op: ControlOp, *, actor: str) -> int:
    """Record a request as pending, with its event; return its id."""
    row = {
        "run_key": run.key,
        "op": op.model_dump_json(),
        "kind": op.kind,
        "status": OpStatus.PENDING,
        "actor": actor,
        "requested_at": clock.now(),
        "message": "",
    }
    op_id = connection.execute(insert(control_ops).values(row).returning(control_ops.c.id)).scalar_one()
    payload = ControlRequested(op_id=op_id, op=op)
    eventfeed.append(connection, payload, actor=actor, run_id=run.id, experiment_id=run.experiment_id)
    return int(op_id)


def acknowledge(connection: Connection, run: Current, op_id: int, *, applied_step: int, actor: str) -> None:
    """Note that an operation took effect; doing so twice is harmless. Raises ``ConflictError`` if it was rejected."""
    record = op_record(connection, op_id, run_key=run.key)
    if record.status is OpStatus.ACKNOWLEDGED:
        return
    if record.status is OpStatus.REJECTED:
        raise ConflictError(f"operation {op_id} of run {run.name} was rejected before: {record.message}")
    _close(connection, op_id, status=OpStatus.ACKNOWLEDGED, applied_step=applied_step)
    payload = ControlAcknowledged(op_id=op_id, op=record.op, applied_step=applied_step)
    eventfeed.append(connection, payload, actor=actor, run_id=run.id, experiment_id=run.experiment_id)


def reject(connection: Connection, run: Current, op_id: int, *, message: str, actor: str) -> None:
    """Note that a pending operation cannot take effect, and why; one that is closed already stays as it is."""
    record = op_record(connection, op_id, run_key=run.key)
    if record.status is not OpStatus.PENDING:
        return
    _close(connection, op_id, status=OpStatus.REJECTED, message=message)
    payload = ControlRejected(op_id=op_id, op=record.op, message=message)
    eventfeed.append(connection, payload, actor=actor, run_id=run.id, experiment_id=run.experiment_id)


def reason_of(connection: Connection, run: Current, to: RunState) -> Reason:
    """Return why a run goes to the state that somebody asked for: as the pending request says."""
    for record in _pending(connection, run):
        if _fulfils(to, record):
            return asked_for(record)
    return Reason(code=ReasonCode.USER_REQUEST, message=f"asked for at epoch {run.epoch}")


def settle(connection: Connection, run: Current, *, actor: str) -> None:
    """Close the pending operations that the run's new state fulfils or rules out, so that none waits for ever."""
    for record in _pending(connection, run):
        if _fulfils(run.state, record):
            acknowledge(connection, run, record.id, applied_step=run.step, actor=actor)
        elif reason := _ruled_out(run.state, record):
            reject(connection, run, record.id, message=reason, actor=actor)


def _pending(connection: Connection, run: Current) -> list[ControlRecord]:
    return op_records(connection, (control_ops.c.run_key == run.key) & (control_ops.c.status == OpStatus.PENDING))


def _fulfils(state: RunState, record: ControlRecord) -> bool:
    """Whether reaching ``state`` is what the operation asked for."""
    return isinstance(record.op, Pause if state is _S.PAUSED else Stop if state is _S.STOPPED else ())


def _ruled_out(state: RunState, record: ControlRecord) -> str:
    """Return why the operation can no longer take effect in ``state``, or an empty string if it still can."""
    match record.op:
        case Pause() if state is not _S.PAUSING:
            return "the user asked to stop it instead" if state is _S.STOPPING else f"the run is {state} already"
        case Stop() if state is not _S.STOPPING:
            return f"the run is {state} already"
        case Save() if state not in {_S.QUEUED, _S.RUNNING, _S.PAUSING, _S.STOPPING}:
            return f"the run is {state}; its newest checkpoint is what there is"
        case Tune(epochs=None) if state is _S.COMPLETED:
            return "the run had already finished"
        case _:
            return ""


def pending_epochs(connection: Connection, run: Current) -> int:
    """Return the highest number of epochs that a pending operation asks for, 0 if none does."""
    asked = [record.op for record in _pending(connection, run)]
    return max((op.epochs or 0 for op in asked if isinstance(op, Tune)), default=0)


def _close(
    connection: Connection, op_id: int, *, status: OpStatus, applied_step: int | None = None, message: str = ""
) -> None:
    values = {"status": status, "acknowledged_at": clock.now(), "applied_step": applied_step, "message": message}
    connection.execute(update(control_ops).where(control_ops.c.id == op_id).values(**values))
