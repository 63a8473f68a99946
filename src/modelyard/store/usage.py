"""What the bytes of a home are for."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select, text

from modelyard.store import pins
from modelyard.store.checkpoints import OWNER_KIND
from modelyard.store.feature_folder import FeatureFolder
from modelyard.store.footprints import by_experiment, logs_by_run, metrics_by_run
from modelyard.store.home import Home
from modelyard.store.reserve import free_bytes
from modelyard.store.schema import blob_refs


@dataclass(frozen=True, kw_only=True)
class StorageUsage:
    """Bytes by kind. ``total`` is the disk space: all of them but metrics and logs, which are in the database."""

    checkpoints: int
    artifacts: int
    """Blobs of artifacts, and of code that runs were submitted with, that no checkpoint has too."""
    unreferenced: int
    """Blobs that a collection would delete, and temporary files."""
    pinned: int
    """Blobs that a process at work has written and not recorded yet."""
    features: int
    """What frozen backbones computed, kept for the next runs; may be deleted at any time."""
    database: int
    """The database with its metrics and logs (SQLite: its write-ahead log too)."""
    metrics: int
    logs: int
    processes: int
    """Logs of engine processes; a collection deletes each a month after its last line."""
    other: int
    """Temporary files of runs, measurements of speed, and readings of devices."""
    reserve: int
    """Set aside, and given up on a full disk so that things can still be deleted."""
    total: int
    free: int
    """What the disk has left for us."""
    capacity: int
    """The size of the disk."""
    by_experiment: Mapping[str, int]
    """Experiment id to bytes of blobs, metrics and logs; a blob that two experiments need counts in both."""


def usage(connection: Connection, home: Home) -> StorageUsage:
    """Measure a home in one snapshot of its database."""
    blobs = _referenced(connection)
    checkpoints = sum(size for size, kinds in blobs.values() if OWNER_KIND in kinds)
    stored, temporary = _sizes(home.blobs / "blobs" / "sha256"), sum(_sizes(home.blobs / "temporary").values())
    recorded = {digest.removeprefix("sha256:") for digest in blobs}
    pinned = {digest.removeprefix("sha256:") for digest in pins.living(connection)} - recorded
    needed = recorded | pinned
    database = _database(connection, home)
    features = FeatureFolder(home.features, limit=0).size()
    processes = _tree(home.logs)
    other = _tree(home.scratch_root) + _tree(home.measurements) + _tree(home.devices)
    reserve = _tree(home.reserve.path)
    disk = os.statvfs(home.path)
    return StorageUsage(
        checkpoints=checkpoints,
        artifacts=sum(size for size, _ in blobs.values()) - checkpoints,
        unreferenced=sum(size for name, size in stored.items() if name not in needed) + temporary,
        pinned=sum(size for name, size in stored.items() if name in pinned),
        features=features,
        database=database,
        metrics=metrics_by_run(connection).total(),
        logs=logs_by_run(connection).total(),
        processes=processes,
        other=other,
        reserve=reserve,
        total=sum(stored.values()) + temporary + features + database + processes + other + reserve,
        free=free_bytes(home.path),
        capacity=disk.f_blocks * disk.f_frsize,
        by_experiment={one.id: one.footprint.files + one.footprint.records for one in by_experiment(connection)},
    )


def _referenced(connection: Connection) -> dict[str, tuple[int, set[str]]]:
    """Return size and kinds of owner of each blob that is referenced."""
    found: dict[str, tuple[int, set[str]]] = {}
    query = select(blob_refs.c.digest, blob_refs.c.size, blob_refs.c.owner_kind).distinct()
    for digest, size, kind in connection.execute(query):
        found.setdefault(digest, (size, set()))[1].add(kind)
    return found


def _database(connection: Connection, home: Home) -> int:
    if connection.dialect.name != "sqlite":
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    files = (home.database.with_name(home.database.name + suffix) for suffix in ("", "-wal", "-shm"))
    return sum(file.stat().st_size for file in files if file.exists())


def _sizes(folder: Path) -> dict[str, int]:
    """Return the size of each file; those that vanish meanwhile are left out."""
    found = {}
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found[path.name] = path.stat().st_size
    return found


def _tree(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; 0 if there is none."""
    found = 0
    for one in [path, *path.rglob("*")]:
        with suppress(FileNotFoundError):
            status = one.lstat()
            found += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return found
