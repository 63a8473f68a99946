"""The stored pyramid of a series: buckets of several widths, so that a chart reads little of a long history."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, delete, insert, or_, select

from modelyard.store.metrics import layout
from modelyard.store.metrics.buckets import Buckets, coarsen, merge, pack_buckets, reduce_points, unpack_buckets
from modelyard.store.metrics.state import SeriesState
from modelyard.store.schema import metric_pyramid

_PYRAMID = metric_pyramid.c


def drop(connection: Connection, state: SeriesState) -> None:
    """Remove the pyramid of a series."""
    if state.base_level is not None:
        connection.execute(delete(metric_pyramid).where(_PYRAMID.series == state.id))
        state.base_level = state.top_level = None


def build(connection: Connection, state: SeriesState, steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    """Replace the pyramid of a series by that of these points, in order of arrival."""
    drop(connection, state)
    state.base_level = layout.base_level(int(steps.min()), int(steps.max()), len(steps))
    extend(connection, state, steps, values)


def extend(connection: Connection, state: SeriesState, steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    """Add points, newer than all that are in it, to every level; add levels on top, drop levels that are too fine."""
    assert state.base_level is not None
    assert state.first_step is not None
    assert state.last_step is not None
    fresh = _raise_base(connection, state, reduce_points(steps, values, state.base_level), len(steps))
    level, known_top = state.base_level, state.top_level
    state.top_level = max(known_top or 0, layout.top_level(level, state.first_step, state.last_step))
    _merge_into(connection, state.id, level, fresh)
    while level < state.top_level:
        complete = known_top is not None and level + layout.STRIDE <= known_top
        below = fresh if complete else _whole_level(connection, state.id, level)
        level += layout.STRIDE
        fresh = coarsen(below, layout.STRIDE)
        _merge_into(connection, state.id, level, fresh)


def read(connection: Connection, wanted: Mapping[int, tuple[int, int, int]]) -> dict[int, Buckets]:
    """Return the buckets of some series; ``wanted`` maps a series to (level, first part, last part). One query."""
    alike: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
    for series, where in wanted.items():
        alike[where].append(series)
    if not alike:
        return {}
    conditions = [
        and_(_PYRAMID.series.in_(series), _PYRAMID.level == level, _PYRAMID.part.between(first, last))
        for (level, first, last), series in alike.items()
    ]
    query = select(_PYRAMID.series, _PYRAMID.buckets).where(or_(*conditions)).order_by(_PYRAMID.series, _PYRAMID.part)
    found: defaultdict[int, list[Buckets]] = defaultdict(list)
    for key, data in connection.execute(query):
        found[key].append(unpack_buckets(data))
    return {key: merge(parts) for key, parts in found.items()}


def _raise_base(connection: Connection, state: SeriesState, fresh: Buckets, points: int) -> Buckets:
    """Widen the finest buckets while these points fill them badly, as when a run logs more seldom than it used to."""
    assert state.base_level is not None
    old = base = state.base_level
    while points >> layout.PART_BITS and layout.too_fine(points, len(fresh)):
        fresh = coarsen(fresh, layout.STRIDE)
        base += layout.STRIDE
    if base == old or state.top_level is None:
        state.base_level = base
        return fresh
    if base > state.top_level:
        whole = _whole_level(connection, state.id, state.top_level)
        _merge_into(connection, state.id, base, coarsen(whole, base - state.top_level))
        state.top_level = base
    connection.execute(delete(metric_pyramid).where(_PYRAMID.series == state.id, _PYRAMID.level < base))
    state.base_level = base
    return fresh


def _whole_level(connection: Connection, series: int, level: int) -> Buckets:
    return merge([part for _, part in _parts(connection, series, level, None)])


def _merge_into(connection: Connection, series: int, level: int, fresh: Buckets) -> None:
    """Merge buckets into the stored parts that they touch."""
    touched = dict(layout.split(fresh))
    stored = dict(_parts(connection, series, level, touched))
    if stored:
        where = (_PYRAMID.series == series, _PYRAMID.level == level, _PYRAMID.part.in_(stored))
        connection.execute(delete(metric_pyramid).where(*where))
    rows = [
        {
            "series": series,
            "level": level,
            "part": number,
            "buckets": pack_buckets(merge([stored[number], part]) if number in stored else part),
        }
        for number, part in touched.items()
    ]
    connection.execute(insert(metric_pyramid), rows)


def _parts(connection: Connection, series: int, level: int, numbers: Iterable[int] | None) -> list[tuple[int, Buckets]]:
    query = select(_PYRAMID.part, _PYRAMID.buckets).where(_PYRAMID.series == series, _PYRAMID.level == level)
    if numbers is not None:
        query = query.where(_PYRAMID.part.in_(list(numbers)))
    return [(part, unpack_buckets(data)) for part, data in connection.execute(query.order_by(_PYRAMID.part))]
