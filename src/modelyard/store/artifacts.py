"""Named files of a run, such as a confusion matrix; the newest of each name is kept."""

from sqlalchemy import Connection, delete, insert, select

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.errors import NotFoundError
from modelyard.store import blob_refs, clock, pins
from modelyard.store.database import Database
from modelyard.store.references import did_you_mean
from modelyard.store.run_rows import key_of
from modelyard.store.schema import artifacts

OWNER_KIND = "artifact"


class Artifacts:
    """Reads artifact records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, run_id: str) -> dict[str, tuple[BlobRef, int]]:
        """Return each artifact's blob and step by name, in order of names. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            key = key_of(connection, run_id)
            query = select(artifacts).where(artifacts.c.run_key == key).order_by(artifacts.c.name)
            rows = connection.execute(query).all()
        return {row.name: (BlobRef(digest=row.digest, size=row.size), row.step) for row in rows}

    def get(self, run_id: str, name: str) -> tuple[BlobRef, int]:
        """Return an artifact's blob and step. Raises ``NotFoundError``."""
        found = self.list(run_id)
        if name not in found:
            raise NotFoundError(f"run {run_id} has no artifact {name!r}{did_you_mean(name, found)}")
        return found[name]


def put(connection: Connection, run_key: int, name: str, blob: BlobRef, *, step: int) -> None:
    """Record an artifact in place of the one of the same name, inside a write transaction."""
    same = (artifacts.c.run_key == run_key) & (artifacts.c.name == name)
    old = connection.execute(delete(artifacts).where(same).returning(artifacts.c.key)).scalars().all()
    blob_refs.drop(connection, OWNER_KIND, old)
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
    for row in connection.execute(select(artifacts).where(done)).all():
        put(connection, target, row.name, BlobRef(digest=row.digest, size=row.size), step=row.step)
