"""Which record needs which blob. Garbage collection keeps a blob for as long as a row here names it."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert

from modelyard.domain.checkpoint import BlobRef
from modelyard.store.schema import blob_refs


def add(connection: Connection, kind: str, owner: int, blobs: Collection[BlobRef], *, run_key: int) -> None:
    """Record that the owner needs these blobs, inside a write transaction."""
    sizes = {blob.digest: blob.size for blob in blobs}  # two files of one checkpoint may have the same bytes
    if not sizes:
        return
    rows = [
        {"digest": digest, "owner_kind": kind, "owner_id": owner, "size": size, "run_key": run_key}
        for digest, size in sizes.items()
    ]
    connection.execute(insert(blob_refs), rows)


def drop(connection: Connection, kind: str, owners: Collection[int]) -> None:
    """Forget what these owners needed."""
    owned = (blob_refs.c.owner_kind == kind) & blob_refs.c.owner_id.in_(owners)
    connection.execute(delete(blob_refs).where(owned))
