"""Taking in new points: the hot path of the store."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection, update

from modelyard.domain.ports import Point
from modelyard.store.metrics import rows, sealing
from modelyard.store.metrics.columns import Columns, columns
from modelyard.store.metrics.effective import effective
from modelyard.store.metrics.state import SeriesState, create, load, store
from modelyard.store.schema import runs


def append(connection: Connection, run_key: int, attempt: int, points: Sequence[Point]) -> None:
    """Append metric values of the newest attempt of a run, inside a write transaction that has checked its lease.

    Times are kept to the millisecond. Any step (int64) and any value are welcome, in any order.
    """
    if points:
        _append(connection, run_key, attempt, _by_name(points, attempt))


def copy(connection: Connection, source: int, target: int, *, leave_out: Collection[str]) -> None:
    """Give a run that has no points all those of another that count, as of attempt 0; inside a write transaction."""
    starts = rows.start_steps(connection, [source])[source]
    batches = {}
    for name, state in load(connection, source).items():
        if name not in leave_out:
            points = rows.read_all(connection, state)
            points = points.take(effective(points.steps, points.attempts, starts))
            if len(points):
                batches[name] = replace(points, attempts=np.zeros(len(points), np.int32))
    if batches:
        _append(connection, target, 0, batches)


def _append(connection: Connection, run_key: int, attempt: int, batches: Mapping[str, Columns]) -> None:
    states = load(connection, run_key)
    missing = [name for name in batches if name not in states]
    if missing:
        create(connection, run_key, missing)
        states = load(connection, run_key)
    tails = []
    for name, batch in batches.items():
        state = states[name]
        overwrites = _count_in(state, attempt, batch)
        if overwrites:
            starts = rows.start_steps(connection, [run_key])[run_key]
            sealing.rebuild(connection, state, starts, extra=batch)
        elif sealing.fills_a_chunk(state):
            sealing.seal(connection, state, extra=batch)
        else:
            tails.append((state, batch))
    rows.insert_tails(connection, tails)
    store(connection, [states[name] for name in batches])
    store_summary(connection, run_key, states.values())


def rewind(connection: Connection, run_key: int) -> None:
    """Take what the newest begun attempt starts over out of summaries and pyramids.

    To be called in the transaction that records where an attempt starts.
    """
    starts = rows.start_steps(connection, [run_key])[run_key]
    if not starts:
        return
    start = starts[max(starts)]
    states = load(connection, run_key)
    overwritten = [state for state in states.values() if state.last_step is not None and state.last_step > start]
    for state in overwritten:
        sealing.rebuild(connection, state, starts)
    if overwritten:
        store(connection, overwritten)
        store_summary(connection, run_key, states.values())


def seal(connection: Connection, run_key: int) -> None:
    """Pack everything that a run has logged; more may follow."""
    states = [state for state in load(connection, run_key).values() if state.tail_count]
    for state in states:
        sealing.seal(connection, state, whole=True)
    store(connection, states)


def _by_name(points: Sequence[Point], attempt: int) -> dict[str, Columns]:
    lists: dict[str, tuple[list[int], list[float], list[float]]] = {}
    for point in points:
        found = lists.get(point.name)
        if found is None:
            found = lists[point.name] = ([], [], [])
        found[0].append(point.step)
        found[1].append(point.time)
        found[2].append(point.value)
    return {name: columns(steps, times, values, attempt) for name, (steps, times, values) in lists.items()}


def _count_in(state: SeriesState, attempt: int, batch: Columns) -> bool:
    """Count new points in ``state``; return whether they overwrite points of an earlier attempt."""
    late = attempt < state.attempt
    if attempt > state.attempt:
        state.attempt, state.prior_step = attempt, state.last_step
    state.add(batch)
    state.next_ordinal += len(batch)
    state.tail_count += len(batch)
    return late or (state.prior_step is not None and int(batch.steps.min()) <= state.prior_step)


def store_summary(connection: Connection, run_key: int, states: Iterable[SeriesState]) -> None:
    """Keep the last value of each metric in the row of the run, where lists of runs find it."""
    summary = {state.name: state.last for state in states if state.count}
    connection.execute(update(runs).where(runs.c.key == run_key).values(summary=json.dumps(summary)))
