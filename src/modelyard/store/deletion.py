"""Removes runs: every row and blob reference that they own, and nobody else's. Events stay, as the audit trail."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from modelyard.domain.errors import ConflictError
from modelyard.domain.events import RunDeleted
from modelyard.domain.run import ACTIVE
from modelyard.store import eventfeed
from modelyard.store.home import Home
from modelyard.store.run_rows import Current
from modelyard.store.schema import blob_refs, checkpoints, runs


def delete_runs(connection: Connection, doomed: Sequence[Current], home: Home, *, actor: str) -> set[str]:
    """Delete runs inside a write transaction; the schema cascades to their rows. Raises ``ConflictError``.

    Returns the digests of the blobs that they needed, which are to be collected after the commit unless others need
    them too.

    Scratch folders go before the commit: without its process a run has no use for its own, so a crash in between harms
    nothing, while one after the commit would leave a folder that belongs to nobody.
    """
    active = [run for run in doomed if run.state in ACTIVE]
    if active:
        raise ConflictError(
            f"run {active[0].name} is {active[0].state}; stop it first: modelyard stop {active[0].name}"
        )
    keys = [run.key for run in doomed]
    counts = _saved_checkpoints(connection, keys)
    needed = set(connection.scalars(select(blob_refs.c.digest).where(blob_refs.c.run_key.in_(keys))))
    connection.execute(delete(runs).where(runs.c.key.in_(keys)))
    entries = [
        eventfeed.Entry(
            RunDeleted(name=run.name, freed_checkpoints=counts.get(run.key, 0)),
            run_id=run.id,
            experiment_id=run.experiment_id,
        )
        for run in doomed
    ]
    eventfeed.append_all(connection, entries, actor=actor)
    for run in doomed:
        home.remove_scratch(run.id)
    return needed


def _saved_checkpoints(connection: Connection, keys: Sequence[int]) -> dict[int, int]:
    owned = checkpoints.c.run_key.in_(keys) & ~checkpoints.c.borrowed
    query = select(checkpoints.c.run_key, func.count().label("saved")).where(owned).group_by(checkpoints.c.run_key)
    return {row.run_key: row.saved for row in connection.execute(query)}
