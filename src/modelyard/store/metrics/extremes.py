"""The best value of a metric in each of many runs, and the step that reached it, without reading what is long."""

from collections.abc import Collection

import numpy as np
from sqlalchemy import Connection, func, select

from modelyard.store.metrics.chart import chart
from modelyard.store.metrics.series import ChartSeries, Extreme
from modelyard.store.schema import runs, series

_FINE = 1 << 20
_COARSE = 1 << 10
_MOST_POINTS = 4_000_000
"""With more points than that in all runs together, their pyramids are read first."""


def extremes(connection: Connection, run_ids: Collection[str], name: str, *, lowest: bool) -> dict[str, Extreme]:
    """Return for each run the lowest or highest finite value that counts, at the first step that has it.

    A fixed number of queries, and a few more for each run whose history is too long to be read whole. Runs without a
    finite value are left out.
    """
    buckets = _FINE if _points(connection, run_ids, name) <= _MOST_POINTS else _COARSE
    found = {}
    for run_id, drawn in chart(connection, run_ids, name, buckets=buckets).items():
        extreme = _narrowed(connection, run_id, name, drawn, lowest=lowest)
        if extreme is not None:
            found[run_id] = extreme
    return found


def ranges(connection: Connection, run_ids: Collection[str], name: str) -> dict[str, tuple[float, float]]:
    """Return for each run the lowest and highest value that counts; without those that have none. One query."""
    query = (
        select(runs.c.id, series.c.min, series.c.max)
        .join(series, series.c.run_key == runs.c.key)
        .where(runs.c.id.in_(run_ids), series.c.name == name, series.c.min.is_not(None))
    )
    return {run_id: (low, high) for run_id, low, high in connection.execute(query)}


def _points(connection: Connection, run_ids: Collection[str], name: str) -> int:
    query = select(func.sum(series.c.count)).join(runs, series.c.run_key == runs.c.key)
    return int(connection.execute(query.where(runs.c.id.in_(run_ids), series.c.name == name)).scalar() or 0)


def _narrowed(connection: Connection, run_id: str, name: str, drawn: ChartSeries, *, lowest: bool) -> Extreme | None:
    """Draw the bucket that has the value again and again, finer each time, until it is a single step."""
    while (row := _row(drawn, lowest=lowest)) is not None:
        step = int(drawn.steps[row])
        if drawn.width == 1:
            return Extreme(step=step, value=float((drawn.minimum if lowest else drawn.maximum)[row]))
        first = step // drawn.width * drawn.width
        window = {"first_step": first, "last_step": first + drawn.width - 1}
        drawn = chart(connection, [run_id], name, buckets=_COARSE, **window)[run_id]
    return None


def _row(drawn: ChartSeries, *, lowest: bool) -> int | None:
    values = drawn.minimum if lowest else -drawn.maximum
    finite = np.where(np.isfinite(values), values, np.inf)
    return int(np.argmin(finite)) if np.isfinite(finite).any() else None
