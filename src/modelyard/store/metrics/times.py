"""When the steps of a drawn history were logged: read from its points, of which a long history has too many."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, tuple_

from modelyard.store.metrics import rows
from modelyard.store.metrics.chart import states_of
from modelyard.store.metrics.columns import EMPTY, Columns, concatenate
from modelyard.store.metrics.effective import effective
from modelyard.store.metrics.series import ChartSeries
from modelyard.store.schema import metric_chunks

_MOST_CHUNKS = 512
"""Of all runs together; each has at least ``_LEAST_CHUNKS``."""
_LEAST_CHUNKS = 4


def times(connection: Connection, name: str, drawn: Mapping[str, ChartSeries]) -> dict[str, NDArray[np.float64]]:
    """Return when the last step of each bucket was logged, in seconds since 1970, by run.

    Of a history with more chunks than can be read at once, chunks that are evenly spread are read, and times between
    them lie on straight lines. A fixed number of queries.
    """
    states = states_of(connection, list(drawn), name)
    sealed = _spread(connection, [state.id for state in states.values() if state.sealed_count])
    tails = rows.read_tails(connection, [state.id for state in states.values() if state.tail_count])
    starts = rows.start_steps(connection, [state.run_key for state in states.values()])
    found = {}
    for run, state in states.items():
        points = concatenate([sealed.get(state.id, EMPTY), tails.get(state.id, EMPTY)])
        points = points.take(effective(points.steps, points.attempts, starts[state.run_key]))
        if len(points):
            found[run] = _at(drawn[run].steps, points)
    return found


def _at(steps: NDArray[np.int64], points: Columns) -> NDArray[np.float64]:
    """Return the times of some steps; of several points at one step, that of the last."""
    last = np.append(points.steps[1:] != points.steps[:-1], True)
    at: NDArray[np.float64] = np.interp(steps, points.steps[last], points.times[last] / 1000.0)
    return at


def _spread(connection: Connection, series: Sequence[int]) -> dict[int, Columns]:
    """Return the points of all chunks, or of some that are evenly spread, the first and the last among them."""
    if not series:
        return {}
    chunks = metric_chunks.c
    query = (
        select(chunks.series, chunks.ordinal).where(chunks.series.in_(series)).order_by(chunks.series, chunks.ordinal)
    )
    there: defaultdict[int, list[int]] = defaultdict(list)
    for key, ordinal in connection.execute(query):
        there[key].append(ordinal)
    most = max(_LEAST_CHUNKS, _MOST_CHUNKS // len(series))
    wanted = [
        (key, ordinals[index])
        for key, ordinals in there.items()
        for index in dict.fromkeys(np.linspace(0, len(ordinals) - 1, min(most, len(ordinals))).astype(int).tolist())
    ]
    return rows.read_chunks(connection, series, tuple_(chunks.series, chunks.ordinal).in_(wanted))
