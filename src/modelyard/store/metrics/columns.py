"""Raw points as arrays, and their two stored forms: a row of the tail and a sealed chunk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.store.metrics.codec import pack, unpack
from modelyard.store.metrics.series import Series

_ROW = np.dtype([("step", "<i8"), ("time", "<i8"), ("value", "<f8"), ("attempt", "<i4")])
POINT_BYTES = _ROW.itemsize
"""Bytes of one point as ``encode_tail`` writes it."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points in order of arrival, one row each."""

    steps: NDArray[np.int64]
    times: NDArray[np.int64]
    """Milliseconds since 1970: finer noise would cost two bytes a point and tell nobody anything."""
    values: NDArray[np.float64]
    attempts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, rows: NDArray[np.int64] | slice) -> "Columns":
        """Return some rows."""
        return Columns(self.steps[rows], self.times[rows], self.values[rows], self.attempts[rows])

    def series(self) -> Series:
        """Return the points as a reader gets them."""
        return Series(steps=self.steps, times=self.times / 1000.0, values=self.values, attempts=self.attempts)


EMPTY = Columns(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int32))


def columns(steps: Sequence[int], times: Sequence[float], values: Sequence[float], attempt: int) -> Columns:
    """Build columns from points of one attempt; times are in seconds."""
    milliseconds = np.rint(np.array(times, np.float64) * 1000.0).astype(np.int64)
    attempts = np.full(len(steps), attempt, np.int32)
    return Columns(np.array(steps, np.int64), milliseconds, np.array(values, np.float64), attempts)


def concatenate(parts: Sequence[Columns]) -> Columns:
    """Join columns."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else EMPTY
    return Columns(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.attempts for part in parts]),
    )


def encode_tail(points: Columns) -> bytes:
    """Encode points for a row of the tail: cheap to write, and rows can be joined as they are."""
    rows = np.empty(len(points), _ROW)
    rows["step"], rows["time"], rows["value"] = points.steps, points.times, points.values
    rows["attempt"] = points.attempts
    return rows.tobytes()


def decode_tail(data: bytes) -> Columns:
    """Decode joined rows of the tail."""
    rows = np.frombuffer(data, _ROW)
    steps, times, values, attempts = (np.ascontiguousarray(rows[name]) for name in _ROW.fields or ())
    return Columns(steps, times, values, attempts)


def encode_chunk(points: Columns) -> bytes:
    """Encode the points of a sealed chunk."""
    return pack([points.steps, points.times, points.attempts.astype(np.int64)], [points.values])


def decode_chunk(data: bytes) -> Columns:
    """Decode a sealed chunk."""
    (steps, times, attempts), (values,) = unpack(data)
    return Columns(steps, times, values, attempts.astype(np.int32))
