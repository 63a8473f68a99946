"""Histories of many runs drawn small, in a fixed number of queries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, Connection, select

from modelyard.store.metrics import layout, levels, rows
from modelyard.store.metrics.buckets import Buckets, coarsen, empty, merge, reduce_points
from modelyard.store.metrics.columns import Columns
from modelyard.store.metrics.effective import effective
from modelyard.store.metrics.series import ChartSeries
from modelyard.store.metrics.state import COLUMNS, SeriesState, from_row
from modelyard.store.schema import metric_chunks, runs, series


@dataclass(frozen=True, slots=True)
class _Window:
    """The steps to draw, widened to whole buckets of ``2**level`` steps."""

    first: int
    last: int
    level: int

    def clip(self, buckets: Buckets) -> Buckets:
        """Return the buckets that lie inside."""
        bounds = np.array([self.first >> self.level, self.last >> self.level])
        start, stop = np.searchsorted(buckets.index, bounds[0]), np.searchsorted(buckets.index, bounds[1], "right")
        return buckets.slice(int(start), int(stop))


def chart(
    connection: Connection,
    run_ids: Collection[str],
    name: str,
    *,
    buckets: int,
    first_step: int | None = None,
    last_step: int | None = None,
) -> dict[str, ChartSeries]:
    """Draw one metric of several runs: read the level of the pyramids that fits, or chunks where none is so fine."""
    states = states_of(connection, run_ids, name)
    window = _window(states.values(), buckets, first_step, last_step)
    if window is None:
        return {run: _drawn(empty(), 0) for run in states}
    inside = [state for state in states.values() if _overlaps(state, window)]
    parts = _sealed(connection, [state for state in inside if state.sealed_count], window)
    for key, points in rows.read_tails(connection, [state.id for state in inside if state.tail_count]).items():
        parts.setdefault(key, []).append(window.clip(reduce_points(points.steps, points.values, window.level)))
    return {run: _drawn(merge(parts.get(state.id) or [empty()]), window.level) for run, state in states.items()}


def states_of(connection: Connection, run_ids: Collection[str], name: str) -> dict[str, SeriesState]:
    """Return the row of one metric of each run that has it, in the order of ``run_ids``. One query."""
    query = (
        select(runs.c.id, *COLUMNS)
        .join(series, series.c.run_key == runs.c.key)
        .where(runs.c.id.in_(run_ids), series.c.name == name, series.c.count > 0)
    )
    found = {run: from_row(row) for run, *row in connection.execute(query)}
    return {run: found[run] for run in run_ids if run in found}


def _window(
    states: Collection[SeriesState], buckets: int, first_step: int | None, last_step: int | None
) -> _Window | None:
    """Return the steps that the runs have, cut to what was asked for; None if nothing is left."""
    firsts = [state.first_step for state in states if state.first_step is not None]
    lasts = [state.last_step for state in states if state.last_step is not None]
    if not firsts or not lasts:
        return None
    first = max(min(firsts), first_step if first_step is not None else min(firsts))
    last = min(max(lasts), last_step if last_step is not None else max(lasts))
    if first > last:
        return None
    level = layout.fitting_level(first, last, buckets)
    return _Window((first >> level) << level, (((last >> level) + 1) << level) - 1, level)


def _overlaps(state: SeriesState, window: _Window) -> bool:
    assert state.first_step is not None
    assert state.last_step is not None
    return state.first_step <= window.last and state.last_step >= window.first


def _sealed(connection: Connection, states: Sequence[SeriesState], window: _Window) -> dict[int, list[Buckets]]:
    """Return the buckets of sealed points, by series."""
    coarse = {state.id: level for state in states if (level := _stored_level(state, window.level)) is not None}
    wanted = {
        key: (level, layout.part_of(window.first, level), layout.part_of(window.last, level))
        for key, level in coarse.items()
    }
    found = {
        key: [window.clip(coarsen(buckets, window.level - coarse[key]))]
        for key, buckets in levels.read(connection, wanted).items()
    }
    fine = {state.id: state.run_key for state in states if state.id not in coarse}
    starts = rows.start_steps(connection, list(fine.values()))
    for key, points in rows.read_chunks(connection, list(fine), _chunks_in(window)).items():
        found[key] = [_reduce(points, starts[fine[key]], window)]
    return found


def _stored_level(state: SeriesState, level: int) -> int | None:
    """Return the coarsest stored level that is at least as fine as ``level``, if there is one."""
    if state.base_level is None or state.top_level is None or state.base_level > level:
        return None
    return min(state.top_level, level - (level - state.base_level) % layout.STRIDE)


def _chunks_in(window: _Window) -> ColumnElement[bool]:
    return (metric_chunks.c.first_step <= window.last) & (metric_chunks.c.last_step >= window.first)


def _reduce(points: Columns, start_steps: Mapping[int, int], window: _Window) -> Buckets:
    if len(start_steps) > 1:
        points = points.take(effective(points.steps, points.attempts, start_steps))
    if not len(points):
        return empty()
    return window.clip(reduce_points(points.steps, points.values, window.level))


def _drawn(buckets: Buckets, level: int) -> ChartSeries:
    return ChartSeries(
        width=1 << level,
        steps=buckets.step,
        minimum=buckets.minimum,
        maximum=buckets.maximum,
        mean=buckets.mean,
        last=buckets.last,
    )
