"""``Metrics``: how everybody but the writer of a run sees its metrics."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from modelyard.domain.errors import NotFoundError
from modelyard.store.database import Database
from modelyard.store.metrics import appending, rows
from modelyard.store.metrics.chart import chart
from modelyard.store.metrics.effective import effective
from modelyard.store.metrics.extremes import extremes, ranges
from modelyard.store.metrics.series import Arrived, ChartSeries, Extreme, Series
from modelyard.store.metrics.state import SeriesState, load
from modelyard.store.metrics.times import times
from modelyard.store.schema import runs


class Metrics:
    """Reads metric histories. What counts of several attempts is said at ``history``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self, run_id: str) -> list[str]:
        """Return the metrics of which a run has points that count, in the order of their first point ever.

        Raises ``NotFoundError``.
        """
        with self._database.read() as connection:
            states = load(connection, _run_key(connection, run_id))
        return [name for name, state in states.items() if state.count]

    def history(self, run_id: str, name: str) -> Series:
        """Return the effective history, by step, then by arrival. Raises ``NotFoundError``.

        A point counts iff its step is at most the start step of every attempt begun later, and no point that counts
        of a later attempt has the same step. So what a crashed attempt logged beyond its checkpoint is gone as soon
        as the next one has begun, and nobody sees a step twice because a run was resumed.
        """
        with self._database.read() as connection:
            key = _run_key(connection, run_id)
            points = rows.read_all(connection, _series(connection, run_id, key, name))
            starts = rows.start_steps(connection, [key])[key]
        return points.take(effective(points.steps, points.attempts, starts)).series()

    def raw(self, run_id: str, name: str, attempt: int | None = None) -> Series:
        """Return every point ever logged (by one attempt), in order of arrival. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            points = rows.read_all(connection, _series(connection, run_id, _run_key(connection, run_id), name))
        if attempt is not None:
            points = points.take((points.attempts == attempt).nonzero()[0])
        return points.series()

    def after(self, run_id: str, cursors: Mapping[str, int]) -> dict[str, Arrived]:
        """Return what was appended to metrics of a run after each one's cursor, in order of arrival.

        A cursor is the number of points that were appended before; metrics without new points are left out. What an
        attempt made void is not taken out: who follows a run reads its history anew when another attempt begins.
        Raises ``NotFoundError``.
        """
        with self._database.read() as connection:
            states = load(connection, _run_key(connection, run_id))
            return {
                name: Arrived(points=rows.read_after(connection, states[name], cursor).series(), next=end)
                for name, cursor in cursors.items()
                if name in states and (end := states[name].next_ordinal) > cursor
            }

    def chart(
        self,
        run_ids: Sequence[str],
        name: str,
        *,
        buckets: int = 1000,
        first_step: int | None = None,
        last_step: int | None = None,
    ) -> dict[str, ChartSeries]:
        """Return the effective history of many runs in at most ``buckets`` buckets each, for drawing.

        All runs share one bucket width, the smallest power of two (in steps) with which the steps of all runs, or
        those from ``first_step`` to ``last_step``, fit. Both ends are widened to whole buckets. Runs that are not
        there or never logged the metric are left out. The cost depends on ``buckets``, not on the length of histories.
        """
        with self._database.read() as connection:
            return chart(connection, run_ids, name, buckets=max(1, buckets), first_step=first_step, last_step=last_step)

    def extremes(self, run_ids: Sequence[str], name: str, *, lowest: bool) -> dict[str, Extreme]:
        """Return for each run its lowest (else highest) finite value that counts, and the first step that has it.

        Runs that are not there or have no finite value of the metric are left out.
        """
        with self._database.read() as connection:
            return extremes(connection, run_ids, name, lowest=lowest)

    def ranges(self, run_ids: Collection[str], name: str) -> dict[str, tuple[float, float]]:
        """Return for each run the lowest and the highest value that counts, without the steps: it reads no history.

        Runs that are not there or have no value but NaN are left out; either value may be infinite. One query.
        """
        with self._database.read() as connection:
            return ranges(connection, run_ids, name)

    def times(self, name: str, drawn: Mapping[str, ChartSeries]) -> dict[str, NDArray[np.float64]]:
        """Return when the last step of each bucket of a ``chart`` was logged, in seconds since 1970, by run.

        Exact, except in histories too long to be read: there, times between chunks that are evenly spread lie on
        straight lines.
        """
        with self._database.read() as connection:
            return times(connection, name, drawn)

    def seal(self, run_id: str) -> None:
        """Pack every point of a run into chunks; it may go on logging. Raises ``NotFoundError``."""
        with self._database.write() as connection:
            appending.seal(connection, _run_key(connection, run_id))


def _run_key(connection: Connection, run_id: str) -> int:
    key = connection.execute(select(runs.c.key).where(runs.c.id == run_id)).scalar()
    if key is None:
        raise NotFoundError(f"there is no run with the id {run_id}")
    return int(key)


def _series(connection: Connection, run_id: str, run_key: int, name: str) -> SeriesState:
    states = load(connection, run_key)
    if name in states:
        return states[name]
    near = get_close_matches(name, states, 1) or list(states)[:5]
    hint = f"; it has {', '.join(near)}" if near else " yet"
    raise NotFoundError(f"run {run_id} has not logged the metric {name!r}{hint}")
