"""Opens the SQLite file of a home that this process must not write: another user's, or a read-only mount.

In WAL mode a reader normally writes, too: it makes the index of the log (``-shm``). So it depends on what is beside the
file. With an index, SQLite reads file and log together, and sees what a live writer commits. Without a log, everything
is in the file, which nobody changes meanwhile. A log without its index cannot be read without writing one.
"""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from modelyard.domain.errors import StoreError


def connect(database: Path, *, timeout: float) -> sqlite3.Connection:
    """Open a connection that can only read. Raises ``StoreError`` if what is there cannot be read without a write."""
    log, index = (database.with_name(database.name + suffix) for suffix in ("-wal", "-shm"))
    in_log = log.exists() and log.stat().st_size > 0
    if in_log and not index.exists():
        raise StoreError(
            f"{database.parent} cannot be written, and {log.name} holds changes that only a writer can take in: run "
            "`modelyard doctor` once where the home can be written, or copy the home to a folder of your own"
        )
    how = "mode=ro" if index.exists() else "immutable=1"
    return sqlite3.connect(f"file:{quote(str(database))}?{how}", uri=True, timeout=timeout, check_same_thread=False)
