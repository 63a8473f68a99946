"""What the bytes of a home are for."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from modelyard.store import pins
from modelyard.store.checkpoints import OWNER_KIND
from modelyard.store.feature_folder import FeatureFolder
from modelyard.store.home import Home
from modelyard.store.schema import (
    blob_refs,
    experiments,
    log_lines,
    metric_chunks,
    metric_pyramid,
    metric_tail,
    runs,
    series,
)

_POINTS = (
    (metric_tail, metric_tail.c.points),
    (metric_chunks, metric_chunks.c.points),
    (metric_pyramid, metric_pyramid.c.buckets),
)


@dataclass(frozen=True, kw_only=True)
class StorageUsage:
    """Bytes by kind. ``total`` is the disk space: blobs, features, database (with metrics and logs)."""

    checkpoints: int
    artifacts: int
    """Blobs of artifacts, and of code that runs were submitted with, that no checkpoint has too."""
    unreferenced: int
    """Blobs that a collection would delete, and temporary files."""
    features: int
    """What frozen backbones computed, kept for the next runs; may be deleted at any time."""
    database: int
    """The database with its metrics and logs (SQLite: its write-ahead log too)."""
    metrics: int
    logs: int
    total: int
    by_experiment: Mapping[str, int]
    """Experiment id to bytes of blobs, metrics and logs; a blob that two experiments need counts in both."""


def usage(connection: Connection, home: Home) -> StorageUsage:
    """Measure a home in one snapshot of its database."""
    blobs = _referenced(connection)
    checkpoints = sum(size for size, kinds in blobs.values() if OWNER_KIND in kinds)
    stored, temporary = _sizes(home.blobs / "blobs" / "sha256"), sum(_sizes(home.blobs / "temporary").values())
    needed = {digest.removeprefix("sha256:") for digest in blobs.keys() | pins.living(connection)}
    metrics, logs = _metrics_by_run(connection), _logs_by_run(connection)
    database = _database(connection, home)
    features = FeatureFolder(home.features, limit=0).size()
    return StorageUsage(
        checkpoints=checkpoints,
        artifacts=sum(size for size, _ in blobs.values()) - checkpoints,
        unreferenced=sum(size for name, size in stored.items() if name not in needed) + temporary,
        features=features,
        database=database,
        metrics=sum(metrics.values()),
        logs=sum(logs.values()),
        total=sum(stored.values()) + temporary + features + database,
        by_experiment=_by_experiment(connection, metrics, logs),
    )


def _referenced(connection: Connection) -> dict[str, tuple[int, set[str]]]:
    """Return size and kinds of owner of each blob that is referenced."""
    found: dict[str, tuple[int, set[str]]] = {}
    query = select(blob_refs.c.digest, blob_refs.c.size, blob_refs.c.owner_kind).distinct()
    for digest, size, kind in connection.execute(query):
        found.setdefault(digest, (size, set()))[1].add(kind)
    return found


def _metrics_by_run(connection: Connection) -> Counter[int]:
    found: Counter[int] = Counter()
    for table, column in _POINTS:
        query = (
            select(series.c.run_key, func.sum(func.length(column)))
            .join(table, table.c.series == series.c.id)
            .group_by(series.c.run_key)
        )
        for key, size in connection.execute(query):
            found[key] += int(size)
    return found


def _logs_by_run(connection: Connection) -> Counter[int]:
    query = select(log_lines.c.run_key, func.sum(func.length(log_lines.c.text))).group_by(log_lines.c.run_key)
    return Counter({key: int(size) for key, size in connection.execute(query)})


def _by_experiment(connection: Connection, metrics: Mapping[int, int], logs: Mapping[int, int]) -> dict[str, int]:
    found = dict.fromkeys(connection.scalars(select(experiments.c.id).order_by(experiments.c.key)), 0)
    of_run: dict[int, str] = {}
    query = select(runs.c.key, experiments.c.id).join(experiments, experiments.c.key == runs.c.experiment_key)
    for key, experiment in connection.execute(query):
        of_run[key] = experiment
        found[experiment] += metrics.get(key, 0) + logs.get(key, 0)
    blobs = {
        (of_run[key], digest): size
        for key, digest, size in connection.execute(select(blob_refs.c.run_key, blob_refs.c.digest, blob_refs.c.size))
    }
    for (experiment, _), size in blobs.items():
        found[experiment] += size
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
