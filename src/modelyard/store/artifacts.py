"""Named files of a run, such as a confusion matrix; the newest ones of each name are kept."""

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.errors import NotFoundError
from modelyard.store import blob_refs, clock, pins
from modelyard.store.database import Database
from modelyard.store.references import did_you_mean
from modelyard.store.run_rows import key_of
from modelyard.store.schema import artifacts

OWNER_KIND = "artifact"
KEPT_STEPS = 200
"""Of how many steps one name is kept; the oldest goes first."""


class Artifacts:
    """Reads artifact records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, run_id: str) -> dict[str, tuple[BlobRef, int]]:
        """Return each artifact's newest blob and step by name, in order of names. Raises ``NotFoundError``."""
        return {name: found[-1] for name, found in self.history(run_id).items()}

    def history(self, run_id: str) -> dict[str, Sequence[tuple[BlobRef, int]]]:
        """Return the blobs and steps of each artifact, oldest first, by name. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            key = key_of(connection, run_id)
            query = select(artifacts).where(artifacts.c.run_key == key).order_by(artifacts.c.name, artifacts.c.step)
            rows = connection.execute(query).all()
        by_name = groupby(rows, lambda row: row.name)
        return {name: [(BlobRef(digest=row.digest, size=row.size), row.step) for row in same] for name, same in by_name}

    def get(self, run_id: str, name: str, *, step: int | None = None) -> tuple[BlobRef, int]:
        """Return an artifact's blob and step, the newest unless a step is named. Raises ``NotFoundError``."""
        found = self.history(run_id)
        if name not in found:
            raise NotFoundError(f"run {run_id} has no artifact {name!r}{did_you_mean(name, found)}")
        fitting = [one for one in found[name] if step in (None, one[1])]
        if not fitting:
            steps = ", ".join(str(known) for _, known in found[name])
            raise NotFoundError(f"run {run_id} has no artifact {name!r} of step {step}; it has steps {steps}")
        return fitting[-1]


def put(connection: Connection, run_key: int, name: str, blob: BlobRef, *, step: int) -> None:
    """Record an artifact inside a write transaction.

    What an attempt that was lost recorded at this step or a later one is void: it goes.
    """
    same = (artifacts.c.run_key == run_key) & (artifacts.c.name == name)
    kept = select(artifacts.c.key).where(same, artifacts.c.step < step).order_by(artifacts.c.step.desc())
    _drop(connection, same & artifacts.c.key.not_in(kept.limit(KEPT_STEPS - 1)))
    row = {
        "run_key": run_key,
        "name": name,
        "digest": blob.digest,
        "size": blob.size,
        "step": step,
        "created_at": clock.now(),
    }
    key = connection.execute(insert(artifacts).values(row).returning(artifacts.c.key)).scalar_one()
    blob_refs.add(connection, OWNER_KIND, key, [blob], run_key=run_key)
    pins.release(connection, [blob.digest])


def copy(connection: Connection, source: int, target: int, *, step: int) -> None:
    """Record all artifacts of one run up to ``step`` for another, which has none."""
    done = (artifacts.c.run_key == source) & (artifacts.c.step <= step)
    for row in connection.execute(select(artifacts).where(done).order_by(artifacts.c.step)).all():
        put(connection, target, row.name, BlobRef(digest=row.digest, size=row.size), step=row.step)


def _drop(connection: Connection, condition: ColumnElement[bool]) -> None:
    old = connection.execute(delete(artifacts).where(condition).returning(artifacts.c.key)).scalars().all()
    if old:
        blob_refs.drop(connection, OWNER_KIND, old)
