"""Reads control operations."""

from collections.abc import Collection
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, select

from modelyard.domain.control import ControlOp, ControlRecord, OpStatus
from modelyard.domain.errors import NotFoundError
from modelyard.store.database import Database
from modelyard.store.run_rows import key_of
from modelyard.store.schema import control_ops, runs

_OP: TypeAdapter[ControlOp] = TypeAdapter(ControlOp)
_QUERY = select(control_ops, runs.c.id.label("run_id")).join_from(control_ops, runs).order_by(control_ops.c.id)


class Controls:
    """Control operations, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, run_ids: Collection[str]) -> list[ControlRecord]:
        """Return the operations of these runs that nobody has carried out yet. One query."""
        if not run_ids:
            return []
        with self._database.read() as connection:
            return op_records(connection, runs.c.id.in_(run_ids) & (control_ops.c.status == OpStatus.PENDING))

    def history(self, run_id: str) -> list[ControlRecord]:
        """Return all operations that were ever asked of a run. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            return op_records(connection, control_ops.c.run_key == key_of(connection, run_id))

    def tunes(self, run_ids: Collection[str]) -> list[ControlRecord]:
        """Return the tunes of these runs that took effect, oldest first. One query."""
        if not run_ids:
            return []
        condition = (control_ops.c.kind == "tune") & (control_ops.c.status == OpStatus.ACKNOWLEDGED)
        with self._database.read() as connection:
            return op_records(connection, runs.c.id.in_(run_ids) & condition)

    def get(self, op_id: int) -> ControlRecord:
        """Return one operation. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            return op_record(connection, op_id)


def op_records(connection: Connection, condition: ColumnElement[bool]) -> list[ControlRecord]:
    """Return all operations that fulfil ``condition``, oldest first."""
    return [_to_record(row) for row in connection.execute(_QUERY.where(condition))]


def op_record(connection: Connection, op_id: int, *, run_key: int | None = None) -> ControlRecord:
    """Return one operation, of this run if given. Raises ``NotFoundError``."""
    condition = control_ops.c.id == op_id
    if run_key is not None:
        condition &= control_ops.c.run_key == run_key
    found = op_records(connection, condition)
    if not found:
        raise NotFoundError(f"no control operation {op_id}; its run may have been deleted")
    return found[0]


def _to_record(row: Row[Any]) -> ControlRecord:
    return ControlRecord(
        id=row.id,
        run_id=row.run_id,
        op=_OP.validate_json(row.op),
        status=OpStatus(row.status),
        actor=row.actor,
        requested_at=row.requested_at,
        acknowledged_at=row.acknowledged_at,
        applied_step=row.applied_step,
        message=row.message,
        number=row.number,
    )
