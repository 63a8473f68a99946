"""Packing the tail of a series into chunks, and keeping its pyramid and summary true to what counts.

Between transactions this holds: the summary is that of the effective history; the pyramid is that of the sealed points
that count; every point of the tail counts. Appends keep it cheaply. Where an attempt overwrites points of an earlier
one (it starts again from a checkpoint, or logs a step again), everything is sealed and both are built anew.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from modelyard.store.metrics import levels, rows
from modelyard.store.metrics.columns import EMPTY, Columns, concatenate
from modelyard.store.metrics.effective import effective
from modelyard.store.metrics.state import SeriesState

CHUNK = 4096
"""Points per sealed chunk; only the last chunk of a series has fewer. A series with a full chunk has a pyramid."""


def fills_a_chunk(state: SeriesState) -> bool:
    """Whether the tail is long enough to be sealed."""
    return state.sealed_count % CHUNK + state.tail_count >= CHUNK


def seal(connection: Connection, state: SeriesState, *, extra: Columns = EMPTY, whole: bool = False) -> None:
    """Move the tail into full chunks (``whole``: to its last point).

    ``extra`` holds the newest points if they are counted in ``state`` but not yet written to the tail.
    """
    fresh = _move(connection, state, extra=extra, whole=whole)
    if not len(fresh):
        return
    if state.base_level is not None:
        levels.extend(connection, state, fresh.steps, fresh.values)
    elif state.sealed_count >= CHUNK:
        counting = _that_count(connection, state, rows.start_steps(connection, [state.run_key])[state.run_key])
        levels.build(connection, state, counting.steps, counting.values)


def rebuild(
    connection: Connection, state: SeriesState, start_steps: Mapping[int, int], *, extra: Columns = EMPTY
) -> None:
    """Seal everything, then build summary and pyramid anew from the points that count."""
    _move(connection, state, extra=extra, whole=True)
    counting = _that_count(connection, state, start_steps)
    state.clear()
    if not len(counting):
        levels.drop(connection, state)
        return
    state.add(counting)
    earlier = counting.steps[counting.attempts < state.attempt]
    state.prior_step = int(earlier.max()) if len(earlier) else None
    if state.sealed_count >= CHUNK:
        levels.build(connection, state, counting.steps, counting.values)


def _move(connection: Connection, state: SeriesState, *, extra: Columns, whole: bool) -> Columns:
    """Move the tail into chunks and return what was moved."""
    stored = rows.read_tails(connection, [state.id]).get(state.id, EMPTY)
    tail = concatenate([stored, extra])
    assert len(tail) == state.tail_count, "the state counts every point"
    opened_count = state.sealed_count % CHUNK
    kept = 0 if whole else (opened_count + len(tail)) % CHUNK
    fresh = tail.take(slice(0, len(tail) - kept))
    if not len(fresh):
        return EMPTY
    start = state.sealed_count - opened_count
    opened = rows.pop_chunk(connection, state.id, start) if opened_count else EMPTY
    rows.insert_chunks(connection, state.id, start, concatenate([opened, fresh]), CHUNK)
    if len(stored):
        rows.delete_tail(connection, state.id)
    if kept:
        rows.insert_tails(connection, [(state, tail.take(slice(len(tail) - kept, None)))])
    state.tail_count = kept
    return fresh


def _that_count(connection: Connection, state: SeriesState, start_steps: Mapping[int, int]) -> Columns:
    """Return the sealed points that count, by step, then arrival."""
    sealed = rows.read_chunks(connection, [state.id]).get(state.id, EMPTY)
    return sealed.take(effective(sealed.steps, sealed.attempts, start_steps))
