"""Pins: blobs that a process has put and not yet recorded. With references, they say which blobs are needed."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from modelyard.domain.checkpoint import BlobRef
from modelyard.store import clock
from modelyard.store.processes import ProcessIdentity, current_process, is_alive
from modelyard.store.schema import blob_pins, blob_refs, workers
from modelyard.store.temporary import UNKNOWN_SECONDS

_PROCESS = (blob_pins.c.host, blob_pins.c.boot_id, blob_pins.c.pid, blob_pins.c.process_start)


def add(connection: Connection, *blobs: BlobRef) -> None:
    """Pin blobs for this process."""
    me, now = current_process(), clock.now()
    process = {"host": me.host, "boot_id": me.boot_id, "pid": me.pid, "process_start": me.start}
    rows = [{"digest": blob.digest, "size": blob.size, "created_at": now} | process for blob in blobs]
    if rows:
        connection.execute(insert(blob_pins), rows)


def release(connection: Connection, digests: Iterable[str]) -> None:
    """Release one pin of this process for each digest, in the transaction that records who needs the blobs."""
    rows = [{"wanted": digest} for digest in digests]
    if not rows:
        return
    me = current_process()
    mine = [column == value for column, value in zip(_PROCESS, (me.host, me.boot_id, me.pid, me.start), strict=True)]
    oldest = select(func.min(blob_pins.c.id)).where(blob_pins.c.digest == bindparam("wanted"), *mine)
    connection.execute(delete(blob_pins).where(blob_pins.c.id == oldest.scalar_subquery()), rows)


def drop_dead(connection: Connection) -> None:
    """Delete the pins of processes that are dead."""
    dead = [pin.id for pin in connection.execute(select(blob_pins)).all() if not _lives(connection, pin)]
    if dead:
        connection.execute(delete(blob_pins).where(blob_pins.c.id.in_(dead)))


def needed(connection: Connection, digests: Collection[str]) -> set[str]:
    """Return those of ``digests`` that a reference or a pin of a living process names."""
    references = select(blob_refs.c.digest).where(blob_refs.c.digest.in_(digests))
    pinned = connection.execute(select(blob_pins).where(blob_pins.c.digest.in_(digests))).all()
    return set(connection.scalars(references)) | {pin.digest for pin in pinned if _lives(connection, pin)}


def living(connection: Connection) -> set[str]:
    """Return all digests that a living process has pinned."""
    return {pin.digest for pin in connection.execute(select(blob_pins)).all() if _lives(connection, pin)}


def _lives(connection: Connection, pin: Row[Any]) -> bool:
    """Whether the process of a pin may still record it."""
    process = ProcessIdentity(host=pin.host, boot_id=pin.boot_id, pid=pin.pid, start=pin.process_start)
    alive = is_alive(process)
    if alive is not None:
        return alive
    # It runs elsewhere: as a worker it is registered for as long as its heart beats, else only age can tell.
    worker = select(workers.c.id).where(
        workers.c.host == pin.host,
        workers.c.boot_id == pin.boot_id,
        workers.c.pid == pin.pid,
        workers.c.process_start == pin.process_start,
    )
    if connection.execute(worker).first() is not None:
        return True
    return bool(clock.now() - pin.created_at < timedelta(seconds=UNKNOWN_SECONDS))
