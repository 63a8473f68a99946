"""Whole series on their way to another home: every point ever appended, in order of arrival."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from sqlalchemy import Connection, select

from modelyard.domain.errors import UserError
from modelyard.store.metrics import rows, sealing
from modelyard.store.metrics.appending import store_summary
from modelyard.store.metrics.columns import POINT_BYTES, Columns, decode_chunk, decode_tail, encode_tail
from modelyard.store.metrics.state import create, load, store
from modelyard.store.schema import metric_chunks, metric_tail

BATCH = 16 * sealing.CHUNK
"""Points that are looked at together."""


def sizes(connection: Connection, run_key: int) -> dict[str, int]:
    """Return how many points each series of a run ever got, in the order of the series' first points."""
    return {name: state.next_ordinal for name, state in load(connection, run_key).items()}


def read_bytes(connection: Connection, run_key: int) -> Iterator[bytes]:
    """Yield the points of all series of a run, one series after the other, as rows of ``POINT_BYTES``."""
    for state in load(connection, run_key).values():
        for table, recode in ((metric_chunks, _chunk_as_rows), (metric_tail, bytes)):
            query = select(table.c.points).where(table.c.series == state.id).order_by(table.c.ordinal)
            for points in connection.execute(query.execution_options(yield_per=64)).scalars():
                yield recode(points)


class PointReader:
    """Takes series after series out of bytes that come in pieces of any size."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._read = bytearray()

    def take(self, count: int) -> Iterator[Columns]:
        """Yield the next ``count`` points, ``BATCH`` at a time. Raises ``UserError`` if there are fewer."""
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start) * POINT_BYTES
            while len(self._read) < size:
                if (piece := next(self._pieces, None)) is None:
                    raise UserError("there are fewer points than the series should have")
                self._read += piece
            yield decode_tail(bytes(self._read[:size]))
            del self._read[:size]

    def skip(self, count: int) -> None:
        """Take the next ``count`` points and look at none."""
        for _ in self.take(count):
            pass

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return not self._read and next((piece for piece in self._pieces if piece), None) is None


def restore(connection: Connection, run_key: int, points: Mapping[str, int], reader: PointReader) -> None:
    """Give a run that has none its series, whose points come next; inside the transaction that wrote its attempts.

    Summaries and pyramids are worked out from the points that count.
    """
    if not points:
        return
    create(connection, run_key, points)
    starts = rows.start_steps(connection, [run_key])[run_key]
    states = load(connection, run_key)
    for name, count in points.items():
        state = states[name]
        for batch in reader.take(count):
            rows.insert_chunks(connection, state.id, state.next_ordinal, batch, sealing.CHUNK)
            state.next_ordinal += len(batch)
            state.attempt = max(state.attempt, int(np.max(batch.attempts)))
        if state.next_ordinal:
            sealing.rebuild(connection, state, starts)
    store(connection, states.values())
    store_summary(connection, run_key, states.values())


def _chunk_as_rows(data: bytes) -> bytes:
    return encode_tail(decode_chunk(data))
