"""Checkpoint records: found by tag, step or id; written by whoever holds the run's lease."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from modelyard.domain.checkpoint import BlobRef, Checkpoint, CheckpointDraft, CheckpointTag
from modelyard.domain.errors import NotFoundError, UserError
from modelyard.store import blob_refs, clock, pins
from modelyard.store.database import Database
from modelyard.store.references import MIN_PREFIX, new_id
from modelyard.store.run_rows import Current, key_of
from modelyard.store.schema import checkpoints

OWNER_KIND = "checkpoint"


class Checkpoints:
    """Reads checkpoint records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, run_id: str) -> list[Checkpoint]:
        """Return the checkpoints that a run saved and still has, newest first. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            return _of_run(connection, key_of(connection, run_id))

    def get(self, ref: str) -> Checkpoint:
        """Return the checkpoint with this id or unique prefix of one; also one that only a clone still holds."""
        with self._database.read() as connection:
            return get_checkpoint(connection, ref)

    def named(self, ids: Collection[str]) -> dict[str, Checkpoint]:
        """Return those of these checkpoints that exist, by id; also what only a clone still holds. One query."""
        with self._database.read() as connection:
            found = _fetch(connection, checkpoints.c.id.in_(ids))
        return {checkpoint.id: checkpoint for checkpoint in reversed(found)}  # who saved it comes before who borrowed

    def find(self, run_id: str, which: Literal["last", "best"] | int) -> Checkpoint:
        """Return a run's checkpoint by tag, or the newest one of a step. Raises ``NotFoundError``."""
        found = self.list(run_id)
        if isinstance(which, int):
            fitting = [checkpoint for checkpoint in found if checkpoint.step == which]
        else:
            fitting = [checkpoint for checkpoint in found if CheckpointTag(which) in checkpoint.tags]
        if fitting:
            return fitting[0]
        what = f"of step {which}" if isinstance(which, int) else f"marked as {which}"
        steps = ", ".join(str(checkpoint.step) for checkpoint in found)
        raise NotFoundError(
            f"the run has no checkpoint {what}; " + (f"it has steps {steps}" if found else "it has none yet")
        )


def get_checkpoint(connection: Connection, ref: str) -> Checkpoint:
    """Return the checkpoint that ``ref`` names. Raises ``NotFoundError``, or ``UserError`` for an unclear prefix."""
    found = _fetch(connection, checkpoints.c.id == ref)
    if not found and len(ref) >= MIN_PREFIX:
        found = _fetch(connection, checkpoints.c.id.startswith(ref, autoescape=True))
    if not found:
        raise NotFoundError(f"no checkpoint {ref!r}; it may have been replaced by a newer one")
    if len({checkpoint.id for checkpoint in found}) > 1:
        raise UserError(f"{ref!r} is the beginning of more than one checkpoint's id; type more of it")
    return found[0]


def add(connection: Connection, run: Current, draft: CheckpointDraft, *, keep: int) -> Checkpoint:
    """Record a checkpoint, move the tags, and drop what they and ``keep`` leave over. Inside a write transaction."""
    moved = {name: False for name, moves in (("last", draft.resumable), ("best", draft.best)) if moves}
    if moved:
        connection.execute(update(checkpoints).where(_saved_by(run.key)).values(**moved))
    row = {
        "id": new_id(),
        "run_key": run.key,
        "run_id": run.id,
        "borrowed": False,
        "attempt": run.attempt,
        "step": draft.step,
        "epoch": draft.epoch,
        "files": dump_files(draft.files),
        "metrics": json.dumps(dict(draft.metrics)),
        "last": draft.resumable,
        "best": draft.best,
        "resumable": draft.resumable,
        "corrupt": False,
        "created_at": clock.now(),
    }
    insert_row(connection, row, draft.files.values())
    pins.release(connection, [blob.digest for blob in draft.files.values()])
    _drop_old(connection, run.key, keep)
    return _to_checkpoint(row)


def borrow(connection: Connection, run_key: int, checkpoint: Checkpoint) -> None:
    """Give a clone a record of its own of the checkpoint that it starts from, so that the parent may go."""
    row = {
        "id": checkpoint.id,
        "run_key": run_key,
        "run_id": checkpoint.run_id,
        "borrowed": True,
        "attempt": checkpoint.attempt,
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "files": dump_files(checkpoint.files),
        "metrics": json.dumps(dict(checkpoint.metrics)),
        "last": False,
        "best": False,
        "resumable": checkpoint.resumable,
        "corrupt": checkpoint.corrupt,
        "created_at": checkpoint.created_at,
    }
    insert_row(connection, row, checkpoint.files.values())


def copy(connection: Connection, source: int, run: Current, *, step: int) -> None:
    """Give ``run``, which has none, the last and the best checkpoint of another run as its own, of attempt 0."""
    wanted = _saved_by(source) & (checkpoints.c.last | checkpoints.c.best) & (checkpoints.c.step <= step)
    for found in connection.execute(select(checkpoints).where(wanted).order_by(checkpoints.c.key)).all():
        row = {**found._mapping, "id": new_id(), "run_key": run.key, "run_id": run.id, "attempt": 0}
        del row["key"]
        insert_row(connection, row, load_files(found.files).values())


def drop_all(connection: Connection, run_key: int) -> None:
    """Forget what a run saved."""
    same = _saved_by(run_key)
    blob_refs.drop(connection, OWNER_KIND, connection.execute(select(checkpoints.c.key).where(same)).scalars().all())
    connection.execute(delete(checkpoints).where(same))


def mark_corrupt(connection: Connection, run: Current, checkpoint_id: str) -> None:
    """Mark every record of a checkpoint; the tag ``last`` goes to the newest sound one of the run."""
    same = checkpoints.c.id == checkpoint_id
    if connection.execute(update(checkpoints).where(same).values(corrupt=True, last=False)).rowcount == 0:
        raise NotFoundError(f"no checkpoint {checkpoint_id!r}")
    sound = _saved_by(run.key) & checkpoints.c.resumable & ~checkpoints.c.corrupt
    newest = select(checkpoints.c.key).where(sound).order_by(checkpoints.c.key.desc()).limit(1).scalar_subquery()
    connection.execute(update(checkpoints).where(checkpoints.c.key == newest).values(last=True))


def newest_position(connection: Connection, run_key: int) -> tuple[int, int]:
    """Return the step and the epoch that a run would go on from: those of its newest sound checkpoint, else 0."""
    sound = _saved_by(run_key) & checkpoints.c.resumable & ~checkpoints.c.corrupt
    query = select(checkpoints.c.step, checkpoints.c.epoch).where(sound).order_by(checkpoints.c.key.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return (0, 0) if row is None else (row.step, row.epoch)


def _drop_old(connection: Connection, run_key: int, keep: int) -> None:
    """Keep the newest ``keep`` sound resumable ones and the best; a corrupt one does not take a place."""
    rows = connection.execute(_query(_saved_by(run_key))).all()
    sound = [row.key for row in rows if row.resumable and not row.corrupt]
    kept = {*sound[:keep], *(row.key for row in rows if row.best)}
    old = [row.key for row in rows if row.key not in kept]
    if old:
        blob_refs.drop(connection, OWNER_KIND, old)
        connection.execute(delete(checkpoints).where(checkpoints.c.key.in_(old)))


def insert_row(connection: Connection, row: Mapping[str, Any], files: Collection[BlobRef]) -> None:
    """Insert a record, and what it needs, inside a write transaction."""
    key = connection.execute(insert(checkpoints).values(row).returning(checkpoints.c.key)).scalar_one()
    blob_refs.add(connection, OWNER_KIND, key, files, run_key=row["run_key"])


def _saved_by(run_key: int) -> ColumnElement[bool]:
    return (checkpoints.c.run_key == run_key) & ~checkpoints.c.borrowed


def _query(condition: ColumnElement[bool]) -> Any:
    return select(checkpoints).where(condition).order_by(checkpoints.c.borrowed, checkpoints.c.key.desc())


def _fetch(connection: Connection, condition: ColumnElement[bool]) -> list[Checkpoint]:
    """Return records, those of the runs that saved them first, then newest first."""
    return [_to_checkpoint(dict(row._mapping)) for row in connection.execute(_query(condition))]


def _of_run(connection: Connection, run_key: int) -> list[Checkpoint]:
    return _fetch(connection, _saved_by(run_key))


def dump_files(files: Mapping[str, BlobRef]) -> str:
    """Return the files of a checkpoint as its row has them."""
    return json.dumps({name: [blob.digest, blob.size] for name, blob in files.items()})


def load_files(text: str) -> dict[str, BlobRef]:
    """Return the files that a row names."""
    return {name: BlobRef(digest=digest, size=size) for name, (digest, size) in json.loads(text).items()}


def _to_checkpoint(row: Mapping[str, Any]) -> Checkpoint:
    created_at: datetime = row["created_at"]
    return Checkpoint(
        id=row["id"],
        run_id=row["run_id"],
        attempt=row["attempt"],
        step=row["step"],
        epoch=row["epoch"],
        files=load_files(row["files"]),
        metrics=json.loads(row["metrics"]),
        tags=frozenset(tag for tag in CheckpointTag if row[tag.value]),
        resumable=row["resumable"],
        corrupt=row["corrupt"],
        created_at=created_at,
    )
