"""Reads runs: whole snapshots for people, and the few columns that decide what may happen to a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, Row, select

from modelyard.domain.errors import NotFoundError, UserError
from modelyard.domain.run import Reason, ReasonCode, Run, RunState
from modelyard.store.references import MIN_PREFIX, did_you_mean
from modelyard.store.schema import experiments, runs

_SNAPSHOT = select(runs, experiments.c.id.label("experiment_id"), experiments.c.name.label("experiment")).join_from(
    runs, experiments
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Current:
    """What decides about a run, read inside the write transaction that changes it."""

    key: int
    id: str
    name: str
    experiment_id: str
    experiment_key: int
    state: RunState
    attempt: int
    step: int
    epoch: int
    crashes: int
    worker_id: str | None
    token: int | None
    reason_code: ReasonCode
    until_epoch: int | None


_CURRENT = select(
    runs.c.key,
    runs.c.id,
    runs.c.name,
    experiments.c.id.label("experiment_id"),
    runs.c.experiment_key,
    runs.c.state,
    runs.c.attempt,
    runs.c.step,
    runs.c.epoch,
    runs.c.crashes,
    runs.c.worker_id,
    runs.c.token,
    runs.c.reason_code,
    runs.c.until_epoch,
).join_from(runs, experiments)


def fetch(connection: Connection, *conditions: ColumnElement[bool], newest: int | None = None) -> list[Run]:
    """Return snapshots of all runs that fulfil ``conditions``, or the ``newest`` of them, in order of creation."""
    query = _SNAPSHOT.where(*conditions).order_by(runs.c.key.desc()).limit(newest)
    return [_to_run(row) for row in reversed(connection.execute(query).all())]


def find(connection: Connection, ref: str) -> Run:
    """Return the run that ``ref`` names: an id, a name (the newest with it), or a unique prefix of an id."""
    found = fetch(connection, runs.c.id == ref) or fetch(connection, runs.c.name == ref)[-1:]
    if not found and len(ref) >= MIN_PREFIX:
        found = fetch(connection, runs.c.id.startswith(ref, autoescape=True), newest=2)
    if len(found) > 1:
        raise UserError(f"{ref!r} is the beginning of more than one run's id; type more of it")
    if not found:
        names = connection.execute(select(runs.c.name)).scalars().all()
        raise NotFoundError(f"no run {ref!r}{did_you_mean(ref, names)}")
    return found[0]


def current(connection: Connection, run_id: str) -> Current:
    """Return the deciding columns of the run with exactly this id. Raises ``NotFoundError``."""
    found = current_where(connection, runs.c.id == run_id)
    if not found:
        raise NotFoundError(f"no run has the id {run_id!r}; it may have been deleted")
    return found[0]


def current_where(
    connection: Connection,
    *conditions: ColumnElement[bool],
    order_by: Sequence[ColumnElement[Any]] = (runs.c.key,),
    limit: int | None = None,
) -> list[Current]:
    """Return the deciding columns of all runs that fulfil ``conditions``, by default in order of creation."""
    rows = connection.execute(_CURRENT.where(*conditions).order_by(*order_by).limit(limit)).mappings()
    return [
        Current(**{**row, "state": RunState(row["state"]), "reason_code": ReasonCode(row["reason_code"])})
        for row in rows
    ]


def key_of(connection: Connection, run_id: str) -> int:
    """Return the integer key of the run with exactly this id. Raises ``NotFoundError``."""
    key = connection.execute(select(runs.c.key).where(runs.c.id == run_id)).scalar()
    if key is None:
        raise NotFoundError(f"no run has the id {run_id!r}; it may have been deleted")
    return int(key)


def keys_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, int]:
    """Return the integer keys of those of the runs that exist. One query."""
    rows = connection.execute(select(runs.c.id, runs.c.key).where(runs.c.id.in_(run_ids)))
    return {row.id: row.key for row in rows}


def _to_run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        name=row.name,
        project=row.project,
        experiment_id=row.experiment_id,
        experiment=row.experiment,
        state=RunState(row.state),
        reason=Reason(code=ReasonCode(row.reason_code), message=row.reason_message),
        notice=row.notice,
        spec_json=row.spec,
        spec_hash=row.spec_hash,
        structure=row.structure,
        execution=row.execution,
        stack_size=row.stack_size,
        stack_gain=row.stack_gain,
        parent_id=row.parent_id,
        warm_start=row.warm_start,
        inherit_optimizer=row.inherit_optimizer,
        forked=row.forked,
        trial=row.trial,
        until_epoch=row.until_epoch,
        scored=row.scored,
        past=row.past,
        shared_steps=row.shared_steps,
        shared_with=row.shared_with,
        priority=row.priority,
        attempt=row.attempt,
        step=row.step,
        total_steps=row.total_steps,
        epoch=row.epoch,
        total_epochs=row.total_epochs,
        worker_id=row.worker_id,
        summary=from_json(row.summary),
        fingerprints=from_json(row.fingerprints),
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
