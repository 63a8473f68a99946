"""Code of the user's own that runs were submitted with: a blob for as long as one of the runs exists."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import NotFoundError
from modelyard.store import blob_refs, pins
from modelyard.store.home import Home
from modelyard.store.schema import runs

OWNER_KIND = "code"


def record(connection: Connection, home: Home, specs: Sequence[RunSpec], rows: Sequence[Mapping[str, Any]]) -> None:
    """Record which new runs need which code, and release its pins; inside the transaction that creates the runs.

    Raises ``NotFoundError`` for code that is not among the blobs.
    """
    code = {
        row["id"]: spec.user_code.code
        for spec, row in zip(specs, rows, strict=True)
        if spec.user_code is not None and spec.user_code.code is not None
    }
    if not code:
        return
    blobs = {digest: _blob(home, digest) for digest in dict.fromkeys(code.values())}
    created = select(runs.c.key, runs.c.id).where(runs.c.experiment_key == rows[0]["experiment_key"])
    for key, run_id in connection.execute(created).all():
        if run_id in code:
            blob_refs.add(connection, OWNER_KIND, key, [blobs[code[run_id]]], run_key=key)
    pins.release(connection, blobs)


def _blob(home: Home, digest: str) -> BlobRef:
    path = home.blobs / "blobs" / "sha256" / digest.removeprefix("sha256:")
    try:
        return BlobRef(digest=digest, size=path.stat().st_size)
    except FileNotFoundError as error:
        raise NotFoundError(f"the code {digest} is not in {home.blobs}; submit the run with its file") from error
