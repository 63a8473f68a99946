"""Reading and writing the rows that hold points: the tail and the sealed chunks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from modelyard.store.metrics.columns import (
    EMPTY,
    Columns,
    concatenate,
    decode_chunk,
    decode_tail,
    encode_chunk,
    encode_tail,
)
from modelyard.store.metrics.state import SeriesState
from modelyard.store.schema import attempts, metric_chunks, metric_tail


def read_tails(connection: Connection, series: Sequence[int]) -> dict[int, Columns]:
    """Return the unsealed points of each series that has any."""
    if not series:
        return {}
    tail = metric_tail.c
    query = select(tail.series, tail.points).where(tail.series.in_(series)).order_by(tail.series, tail.ordinal)
    found: defaultdict[int, list[bytes]] = defaultdict(list)
    for key, points in connection.execute(query):
        found[key].append(points)
    return {key: decode_tail(b"".join(rows)) for key, rows in found.items()}


def read_chunks(
    connection: Connection, series: Sequence[int], condition: ColumnElement[bool] | None = None
) -> dict[int, Columns]:
    """Return the sealed points of each series that has any; of its chunks that meet ``condition``, if given."""
    if not series:
        return {}
    chunks = metric_chunks.c
    query = (
        select(chunks.series, chunks.points).where(chunks.series.in_(series)).order_by(chunks.series, chunks.ordinal)
    )
    if condition is not None:
        query = query.where(condition)
    found: defaultdict[int, list[Columns]] = defaultdict(list)
    for key, points in connection.execute(query):
        found[key].append(decode_chunk(points))
    return {key: concatenate(parts) for key, parts in found.items()}


def read_all(connection: Connection, state: SeriesState) -> Columns:
    """Return every point ever appended to a series, in order of arrival."""
    sealed = read_chunks(connection, [state.id]).get(state.id, EMPTY) if state.sealed_count else EMPTY
    tail = read_tails(connection, [state.id]).get(state.id, EMPTY) if state.tail_count else EMPTY
    return concatenate([sealed, tail])


def read_after(connection: Connection, state: SeriesState, ordinal: int) -> Columns:
    """Return every point after the first ``ordinal`` that were appended to a series, in order of arrival."""
    sealed = EMPTY
    start = state.sealed_count
    if ordinal < state.sealed_count:
        chunks = metric_chunks.c
        first = select(func.min(chunks.ordinal)).where(
            chunks.series == state.id, chunks.ordinal + chunks.count > ordinal
        )
        start = connection.execute(first).scalar_one()
        sealed = read_chunks(connection, [state.id], chunks.ordinal >= start)[state.id]
    tail = read_tails(connection, [state.id]).get(state.id, EMPTY) if state.tail_count else EMPTY
    return concatenate([sealed, tail]).take(slice(max(0, ordinal - start), None))


def start_steps(connection: Connection, run_keys: Sequence[int]) -> dict[int, dict[int, int]]:
    """Return, for each run, where each attempt that has begun started."""
    found: dict[int, dict[int, int]] = {key: {} for key in run_keys}
    if not run_keys:
        return found
    query = select(attempts.c.run_key, attempts.c.number, attempts.c.start_step).where(
        attempts.c.run_key.in_(run_keys), attempts.c.start_step.is_not(None)
    )
    for key, number, start in connection.execute(query):
        found[key][number] = start
    return found


def insert_tails(connection: Connection, tails: Sequence[tuple[SeriesState, Columns]]) -> None:
    """Write the newest points of some series, counted in their states already."""
    rows = [
        {"series": state.id, "ordinal": state.next_ordinal - len(points), "points": encode_tail(points)}
        for state, points in tails
    ]
    if rows:
        connection.execute(insert(metric_tail), rows)


def delete_tail(connection: Connection, series: int) -> None:
    """Drop all unsealed points of a series."""
    connection.execute(delete(metric_tail).where(metric_tail.c.series == series))


def pop_chunk(connection: Connection, series: int, ordinal: int) -> Columns:
    """Remove one chunk and return its points."""
    where = (metric_chunks.c.series == series, metric_chunks.c.ordinal == ordinal)
    data = connection.execute(select(metric_chunks.c.points).where(*where)).scalar_one()
    connection.execute(delete(metric_chunks).where(*where))
    return decode_chunk(data)


def insert_chunks(connection: Connection, series: int, start: int, points: Columns, size: int) -> None:
    """Write points as chunks of ``size``, the last one maybe smaller; ``start`` is the ordinal of the first point."""
    rows: list[Mapping[str, Any]] = []
    for offset in range(0, len(points), size):
        chunk = points.take(slice(offset, offset + size))
        rows.append(
            {
                "series": series,
                "ordinal": start + offset,
                "count": len(chunk),
                "first_step": int(chunk.steps.min()),
                "last_step": int(chunk.steps.max()),
                "points": encode_chunk(chunk),
            }
        )
    connection.execute(insert(metric_chunks), rows)
