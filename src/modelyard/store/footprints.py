"""What runs take on the disk, and what goes with them: a blob goes with the last run that needs it."""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, func, select, true

from modelyard.store import pins
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

Group = TypeVar("Group", bound=Hashable)

_POINTS = (
    (metric_tail, metric_tail.c.points),
    (metric_chunks, metric_chunks.c.points),
    (metric_pyramid, metric_pyramid.c.buckets),
)


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a run, or several of them together, take. All in bytes."""

    files: int = 0
    """Checkpoints, artifacts and code, each blob counted once."""
    own: int = 0
    """Of these, what nobody else needs: deleting frees it."""
    records: int = 0
    """Metrics and logs. They are in the database, whose file keeps its size and uses the space again."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A run, or an experiment with all of its runs, and what it takes."""

    id: str
    name: str
    experiment_id: str
    experiment: str
    footprint: Footprint


def by_run(connection: Connection) -> list[Owner]:
    """Return what each run takes, in order of creation."""
    query = select(runs.c.key, runs.c.id, runs.c.name, experiments.c.id.label("of"), experiments.c.name.label("in"))
    found = connection.execute(query.join_from(runs, experiments).order_by(runs.c.key)).all()
    taken = footprints(connection, {row.key: row.key for row in found}, records(connection))
    return [
        Owner(id=run_id, name=name, experiment_id=of, experiment=experiment, footprint=taken[key])
        for key, run_id, name, of, experiment in found
    ]


def by_experiment(connection: Connection) -> list[Owner]:
    """Return what each experiment takes, in order of creation."""
    group = {row.key: row.experiment_key for row in connection.execute(select(runs.c.key, runs.c.experiment_key))}
    taken = footprints(connection, group, records(connection))
    query = select(experiments.c.key, experiments.c.id, experiments.c.name).order_by(experiments.c.key)
    return [
        Owner(id=found, name=name, experiment_id=found, experiment=name, footprint=taken.get(key, Footprint()))
        for key, found, name in connection.execute(query).all()
    ]


def of_all(connection: Connection, doomed: ColumnElement[bool]) -> Footprint:
    """Return what the runs that fulfil a condition take together."""
    keys = set(connection.scalars(select(runs.c.key).where(doomed)))
    group = {key: key in keys for key in connection.scalars(select(runs.c.key))}
    return footprints(connection, group, records(connection, doomed)).get(True, Footprint())


def footprints(
    connection: Connection, group: Mapping[int, Group], recorded: Mapping[int, int]
) -> dict[Group, Footprint]:
    """Return what groups of runs take; ``group`` has every run's by its key, ``recorded`` the bytes of its records.

    A blob that a living process has pinned is nobody's own: it may be recorded once more.
    """
    needed_by: dict[str, set[Group]] = {}
    sizes: dict[str, int] = {}
    for key, digest, size in connection.execute(select(blob_refs.c.run_key, blob_refs.c.digest, blob_refs.c.size)):
        sizes[digest] = size
        needed_by.setdefault(digest, set()).add(group[key])
    pinned = pins.living(connection)
    files: Counter[Group] = Counter()
    own: Counter[Group] = Counter()
    inside: Counter[Group] = Counter()
    for digest, groups in needed_by.items():
        for one in groups:
            files[one] += sizes[digest]
            if len(groups) == 1 and digest not in pinned:
                own[one] += sizes[digest]
    for key, size in recorded.items():
        inside[group[key]] += size
    return {one: Footprint(files=files[one], own=own[one], records=inside[one]) for one in set(group.values())}


def records(connection: Connection, of: ColumnElement[bool] | None = None) -> Counter[int]:
    """Return the bytes of metrics and logs of each run that has some, by its key; ``of`` is a condition on runs."""
    return metrics_by_run(connection, of) + logs_by_run(connection, of)


def metrics_by_run(connection: Connection, of: ColumnElement[bool] | None = None) -> Counter[int]:
    """Return the bytes of each run's metrics, by its key."""
    found: Counter[int] = Counter()
    for table, column in _POINTS:
        query = (
            select(series.c.run_key, func.sum(func.length(column)))
            .join(table, table.c.series == series.c.id)
            .where(_among(series.c.run_key, of))
            .group_by(series.c.run_key)
        )
        for key, size in connection.execute(query):
            found[key] += int(size)
    return found


def logs_by_run(connection: Connection, of: ColumnElement[bool] | None = None) -> Counter[int]:
    """Return the size of each run's log, by its key."""
    query = (
        select(log_lines.c.run_key, func.sum(func.length(log_lines.c.text)))
        .where(_among(log_lines.c.run_key, of))
        .group_by(log_lines.c.run_key)
    )
    return Counter({key: int(size) for key, size in connection.execute(query)})


def _among(key: ColumnElement[int], of: ColumnElement[bool] | None) -> ColumnElement[bool]:
    return true() if of is None else key.in_(select(runs.c.key).where(of))
