"""The feed of everything that happened. An event is written in the transaction of the change it tells of.

Numbers are given under the one write lock (see ``database``), which is held until the commit is visible. So a reader
that has seen number n will never find a smaller one that it has not seen.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from modelyard.domain.events import PAYLOAD_ADAPTER, Event, EventPayload
from modelyard.store import clock
from modelyard.store.database import Database
from modelyard.store.schema import events


class Entry(NamedTuple):
    """An event that is about to be written."""

    payload: EventPayload
    run_id: str | None = None
    experiment_id: str | None = None


def append(
    connection: Connection,
    payload: EventPayload,
    *,
    actor: str,
    run_id: str | None = None,
    experiment_id: str | None = None,
) -> None:
    """Append one event inside a write transaction."""
    append_all(connection, [Entry(payload, run_id, experiment_id)], actor=actor)


def append_all(connection: Connection, entries: Iterable[Entry], *, actor: str) -> None:
    """Append several events, in order."""
    time = clock.now()
    rows = [
        {
            "time": time,
            "actor": actor,
            "experiment_id": entry.experiment_id,
            "run_id": entry.run_id,
            "type": entry.payload.type,
            "payload": entry.payload.model_dump_json(),
        }
        for entry in entries
    ]
    if rows:
        connection.execute(insert(events), rows)


class Events:
    """Reads the feed; implements ``EventSource``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(
        self, *, after: int = 0, limit: int = 1000, run_id: str | None = None, experiment_id: str | None = None
    ) -> list[Event]:
        """Return up to ``limit`` events with ``seq > after``, in order; of one run or experiment if given."""
        query = select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
        if run_id is not None:
            query = query.where(events.c.run_id == run_id)
        if experiment_id is not None:
            query = query.where(events.c.experiment_id == experiment_id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [_to_event(row) for row in rows]

    def newest(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        types: Collection[str] = (),
        actor: str = "",
        run_id: str | None = None,
        experiment_id: str | None = None,
    ) -> list[Event]:
        """Return the newest ``limit`` events with ``seq < before``, newest first; only those that were asked for.

        ``actor`` is how the name of who did it begins; empty ``types`` are all.
        """
        query = select(events).order_by(events.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(events.c.seq < before)
        if types:
            query = query.where(events.c.type.in_(types))
        if actor:
            query = query.where(events.c.actor.startswith(actor, autoescape=True))
        if run_id is not None:
            query = query.where(events.c.run_id == run_id)
        if experiment_id is not None:
            query = query.where(events.c.experiment_id == experiment_id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [_to_event(row) for row in rows]

    def about(
        self, types: Collection[str], *, run_ids: Collection[str] = (), experiment_ids: Collection[str] = ()
    ) -> list[Event]:
        """Return all events of these types that tell of some runs or experiments, in order."""
        told = events.c.run_id.in_(run_ids) | events.c.experiment_id.in_(experiment_ids)
        query = select(events).where(events.c.type.in_(types), told).order_by(events.c.seq)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [_to_event(row) for row in rows]

    def history(self, experiment_ids: Collection[str], types: Collection[str], *, limit: int) -> list[Event]:
        """Return the newest ``limit`` events of these types in some experiments, in order. One query."""
        matching = events.c.experiment_id.in_(experiment_ids) & events.c.type.in_(types)
        query = select(events).where(matching).order_by(events.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [_to_event(row) for row in reversed(rows)]

    def last_seq(self) -> int:
        """Return the newest sequence number, 0 for an empty feed."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(events.c.seq))).scalar() or 0


def _to_event(row: Any) -> Event:
    return Event(
        seq=row.seq,
        time=row.time,
        actor=row.actor,
        experiment_id=row.experiment_id,
        run_id=row.run_id,
        payload=PAYLOAD_ADAPTER.validate_json(row.payload),
    )
