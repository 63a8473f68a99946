"""Which process owns which run: workers, claims, heartbeats, and what happens when a process is lost."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, delete, exists, func, insert, literal, select, update

from modelyard.domain.errors import FencedError
from modelyard.domain.run import WHEN_LEASE_LOST, Lease, Reason, ReasonCode, Run, RunState
from modelyard.store import checkpoints, clock, following, logs
from modelyard.store.database import Database
from modelyard.store.lease_observer import LeaseObserver
from modelyard.store.lifecycle import change_state
from modelyard.store.processes import ProcessIdentity, current_process, is_alive
from modelyard.store.references import new_id
from modelyard.store.run_rows import Current, current_where, fetch
from modelyard.store.schema import UtcTime, attempts, experiments, runs, workers

AGENT_OF = "agent:"
"""The kind of an agent that works on one experiment is this and the experiment's id."""
ISOLATE_AFTER = 2
"""A run that took its process down this often in a row without progress trains alone."""


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A process that registered and was neither unregistered nor reaped."""

    id: str
    kind: str
    host: str
    pid: int
    alive: bool | None
    """None if it cannot be known from this process (another host or container)."""
    beat: int
    started_at: datetime


class Leases:
    """Registers workers, hands runs to them, and takes the runs of dead ones back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, *, kind: str = "engine", agent_id: str | None = None) -> str:
        """Make the calling process known as a worker, started by the worker ``agent_id``; return the worker's id."""
        process = current_process()
        worker_id = new_id()
        row = {
            "id": worker_id,
            "kind": kind,
            "host": process.host,
            "boot_id": process.boot_id,
            "pid": process.pid,
            "process_start": process.start,
            "beat": 0,
            "crash_message": "",
            "agent_id": agent_id,
            "started_at": clock.now(),
        }
        with self._database.write() as connection:
            connection.execute(insert(workers).values(row))
        return worker_id

    def unregister(self, worker_id: str) -> None:
        """Forget a worker; a run that it still owns is handled as lost. Unknown ids are ignored."""
        with self._database.write() as connection:
            _lose(connection, worker_id, "the process that trained it left without giving it back", counts=True)

    def claim(
        self,
        worker_id: str,
        *,
        limit: int,
        experiment_id: str | None = None,
        isolated: bool = False,
        structures: Sequence[str] = (),
        idle: bool = False,
    ) -> list[tuple[Run, Lease]]:
        """Take up to ``limit`` queued runs, highest priority first, then oldest; each gets a new attempt and token.

        Among those of the highest priority, runs of the first of ``structures`` come first, and so on.

        Without an ``experiment_id``, experiments that have an agent of their own are left to it.
        ``isolated`` takes those, and only those, that lost their process ``ISOLATE_AFTER`` times in a row.
        A run that waits for another one, which trains its first steps, is left alone, unless the worker is ``idle`` and
        would be faster. One that waits no more is left to idle workers for a moment.
        Raises ``FencedError`` if the worker is not registered (any more).
        """
        crashed = runs.c.crashes >= ISOLATE_AFTER if isolated else runs.c.crashes < ISOLATE_AFTER
        free = ~following.waits()
        free = free | following.has_slow_leader() if idle else free & ~following.is_fresh()
        condition = (runs.c.state == RunState.QUEUED) & crashed & free
        if experiment_id is not None:
            condition &= experiments.c.id == experiment_id
        else:
            condition &= ~_has_agent_of_its_own()
        if limit < 1 or not self._any(condition):
            return []
        with self._database.write() as connection:
            _check_registered(connection, worker_id)
            ranks = {structure: rank for rank, structure in reversed(list(enumerate(structures)))}
            alike = [case(ranks, value=runs.c.structure, else_=len(structures))] if ranks else []
            order = (runs.c.priority.desc(), *alike, runs.c.key)
            queued = current_where(connection, condition, order_by=order, limit=limit)
            leases = [_claim(connection, run, worker_id) for run in queued]
            claimed = {run.id: run for run in fetch(connection, runs.c.key.in_([run.key for run in queued]))}
        return [(claimed[lease.run_id], lease) for lease in leases]

    def awaited(self, *, experiment_id: str | None = None) -> bool:
        """Whether a run is queued that waits for another one."""
        condition = (runs.c.state == RunState.QUEUED) & following.waits()
        if experiment_id is not None:
            condition &= experiments.c.id == experiment_id
        return self._any(condition)

    def heartbeat(self, worker_id: str) -> None:
        """Show that the worker is alive. Raises ``FencedError`` if it was reaped: its runs belong to others now."""
        with self._database.write() as connection:
            beat = update(workers).where(workers.c.id == worker_id).values(beat=workers.c.beat + 1)
            if connection.execute(beat).rowcount != 1:
                raise _not_registered(worker_id)

    def reap(self, observer: LeaseObserver, *, uncollected: Collection[int] = ()) -> list[Run]:
        """Take the runs of dead workers back; return those runs as they are now.

        A worker is dead if its process is gone from this host, or if ``observer`` has not seen its beat change for its
        timeout. A run in training is queued again, or failed once its retries are used up; a run that was about to
        pause or stop is paused or stopped. It is no retry if the agent that started the worker is gone as well: then
        everything was killed or the machine went down, which says nothing about the run.

        ``uncollected``: process ids of the caller's own children that it has not waited for. They may look gone some
        time before the caller can know what ended them, so that they are left to it until then.
        """
        with self._database.read() as connection:
            rows = connection.execute(select(workers)).all()
        silent = observer.silent({row.id: row.beat for row in rows})
        gone = {row.id for row in rows if row.pid not in uncollected and is_alive(_identity(row)) is False}
        dead = [row for row in rows if row.id in silent or row.id in gone]
        if not dead:
            return []
        living = {row.id for row in rows} - {row.id for row in dead}
        lost: list[Current] = []
        with self._database.write() as connection:
            for row in dead:
                unchanged = select(workers).where(workers.c.id == row.id, workers.c.beat == row.beat)
                if (now := connection.execute(unchanged).one_or_none()) is not None:
                    counts = row.agent_id is None or row.agent_id in living
                    lost += _lose(connection, row.id, _cause(now, silent), counts=counts)
            return fetch(connection, runs.c.key.in_([run.key for run in lost]))

    def note_crash(self, worker_id: str, message: str) -> None:
        """Keep why a worker died, for the reason that its runs get when they are taken back."""
        with self._database.write() as connection:
            connection.execute(update(workers).where(workers.c.id == worker_id).values(crash_message=message))

    def workers(self) -> list[WorkerInfo]:
        """Return all registered workers, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(workers).order_by(workers.c.started_at, workers.c.id)).all()
        return [
            WorkerInfo(
                id=row.id,
                kind=row.kind,
                host=row.host,
                pid=row.pid,
                alive=is_alive(_identity(row)),
                beat=row.beat,
                started_at=row.started_at,
            )
            for row in rows
        ]

    def _any(self, condition: ColumnElement[bool]) -> bool:
        """Look without the write lock, so that idle engines disturb nobody."""
        with self._database.read() as connection:
            query = select(runs.c.key).join_from(runs, experiments).where(condition).limit(1)
            return connection.execute(query).first() is not None


def _has_agent_of_its_own() -> ColumnElement[bool]:
    return exists().where(workers.c.kind == literal(AGENT_OF) + experiments.c.id)


def _claim(connection: Connection, run: Current, worker_id: str) -> Lease:
    now = clock.now()
    number = run.attempt + 1
    row = {"run_key": run.key, "number": number, "worker_id": worker_id, "claimed_at": now}
    token = connection.execute(insert(attempts).values(row).returning(attempts.c.token)).scalar_one()
    reason = Reason(code=ReasonCode.CLAIMED, message=f"attempt {number} was taken by worker {worker_id}")
    change_state(
        connection,
        run,
        RunState.RUNNING,
        reason,
        actor=f"worker {worker_id}",
        attempt=number,
        worker_id=worker_id,
        token=token,
        started_at=func.coalesce(runs.c.started_at, literal(now, UtcTime)),
    )
    return Lease(run_id=run.id, attempt=number, token=token, worker_id=worker_id)


def _lose(connection: Connection, worker_id: str, cause: str, *, counts: bool) -> list[Current]:
    """Forget the worker and move each of its runs to where a run goes without its process.

    ``counts``: whether the loss is held against the run.
    """
    connection.execute(delete(workers).where(workers.c.id == worker_id))
    owned = current_where(connection, runs.c.worker_id == worker_id)
    retries = _max_retries(connection, [run.key for run in owned])
    lost = []
    for run in owned:
        to, reason = WHEN_LEASE_LOST[run.state], Reason(code=ReasonCode.LEASE_LOST, message=cause)
        crashes = run.crashes + counts
        if counts and run.state is RunState.RUNNING and crashes > retries[run.key]:
            to = RunState.FAILED
            message = f"lost its process {crashes} times without progress; last: {cause}"
            reason = Reason(code=ReasonCode.RETRIES_EXHAUSTED, message=message)
        # What was trained after the newest checkpoint is gone: nobody may be told that it was saved.
        step, epoch = checkpoints.newest_position(connection, run.key)
        values = {"crashes": crashes, "step": step, "epoch": epoch}
        if to is RunState.FAILED:
            logs.append(connection, run.key, run.attempt, [f"failed: {reason.message}"], now=clock.now())
        lost.append(change_state(connection, run, to, reason, actor="system", **values))
    return lost


def _max_retries(connection: Connection, keys: Collection[int]) -> dict[int, int]:
    rows = connection.execute(select(runs.c.key, runs.c.spec).where(runs.c.key.in_(keys)))
    return {row.key: json.loads(row.spec)["training"]["max_retries"] for row in rows}


def _cause(worker: Row[Any], silent: set[str]) -> str:
    where = f"process {worker.pid} on {worker.host}"
    if worker.crash_message:
        return f"{where} ended: {worker.crash_message}"
    return f"{where} stopped responding" if worker.id in silent else f"{where} ended unexpectedly"


def _identity(worker: Row[Any]) -> ProcessIdentity:
    return ProcessIdentity(host=worker.host, boot_id=worker.boot_id, pid=worker.pid, start=worker.process_start)


def _check_registered(connection: Connection, worker_id: str) -> None:
    if connection.execute(select(workers.c.id).where(workers.c.id == worker_id)).first() is None:
        raise _not_registered(worker_id)


def _not_registered(worker_id: str) -> FencedError:
    return FencedError(f"worker {worker_id} is not registered any more; its runs belong to other processes now")
