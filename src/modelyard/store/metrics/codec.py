"""Columns of numbers as few bytes: the one format of sealed chunks and pyramid parts.

Integers are delta-coded (zigzag, modulo 2**64) in the narrowest width that holds every delta, floats are kept as
float32 where that is exact. Both are byte-shuffled (all first bytes, then all second bytes, ...) and compressed
together with zstd: a column that counts up evenly costs next to nothing.
"""

import struct
from collections.abc import Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

from modelyard.domain.errors import StoreError

_VERSION = 1
_HEADER = struct.Struct("<BBBI")  # version, number of integer columns, number of float columns, rows
_INTEGER = struct.Struct("<Bq")  # bytes per delta, first value
_WIDTHS = (1, 2, 4, 8)
_LEVEL = 3


def pack(integers: Sequence[NDArray[np.int64]], floats: Sequence[NDArray[np.float64]]) -> bytes:
    """Encode columns of equal length (at least one row). Lossless, NaN and infinities included."""
    rows = len(integers[0])
    head = [_HEADER.pack(_VERSION, len(integers), len(floats), rows)]
    body = []
    for column in integers:
        deltas = _zigzag_deltas(column)
        width = _narrowest(int(deltas.max()))
        head.append(_INTEGER.pack(width, int(column[0])))
        body.append(_shuffle(deltas.astype(f"<u{width}")))
    for values in floats:
        narrow = exact_float32(values)
        head.append(b"\x08" if narrow is None else b"\x04")
        body.append(_shuffle(values.astype("<f8") if narrow is None else narrow))
    return b"".join(head) + zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join(body))


def unpack(data: bytes) -> tuple[list[NDArray[np.int64]], list[NDArray[np.float64]]]:
    """Decode what ``pack`` made. Raises ``StoreError`` for a format that this version does not know."""
    version, integer_columns, float_columns, rows = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise StoreError(f"metric data has format {version}, this Modelyard reads {_VERSION}; install a newer one")
    offset = _HEADER.size
    firsts = []
    for _ in range(integer_columns):
        firsts.append(_INTEGER.unpack_from(data, offset))
        offset += _INTEGER.size
    widths = data[offset : offset + float_columns]
    body = zstandard.ZstdDecompressor().decompress(memoryview(data)[offset + float_columns :])
    position = 0
    integers, floats = [], []
    for width, first in firsts:
        deltas = _unshuffle(body, position, rows, width).view(f"<u{width}").astype(np.uint64)
        integers.append(_undo_deltas(deltas, first))
        position += rows * width
    for width in widths:
        floats.append(_unshuffle(body, position, rows, width).view(f"<f{width}").astype(np.float64))
        position += rows * width
    return integers, floats


def exact_float32(values: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """Return ``values`` as float32 if every bit survives the way there and back, else None."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        narrow = values.astype("<f4")
        same = np.array_equal(narrow.astype(np.float64).view(np.int64), values.view(np.int64))
    return narrow if same else None


def _zigzag_deltas(column: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Differences to the row before (0 for the first), small magnitudes of both signs as small unsigned numbers."""
    deltas = np.zeros(len(column), np.int64)
    np.subtract(column[1:], column[:-1], out=deltas[1:])
    return ((deltas << 1) ^ (deltas >> 63)).view(np.uint64)


def _undo_deltas(deltas: NDArray[np.uint64], first: int) -> NDArray[np.int64]:
    signed = (deltas >> np.uint64(1)).view(np.int64) ^ -(deltas & np.uint64(1)).view(np.int64)
    signed[0] = first
    return np.cumsum(signed)


def _narrowest(largest: int) -> int:
    return next(width for width in _WIDTHS if largest < 1 << (8 * width))


def _shuffle(column: NDArray[np.generic]) -> bytes:
    return column.view(np.uint8).reshape(len(column), column.itemsize).T.tobytes()


def _unshuffle(body: bytes, position: int, rows: int, width: int) -> NDArray[np.uint8]:
    """Return the rows of one column as bytes, (rows, width) in C order, flattened."""
    planes = np.frombuffer(body, np.uint8, rows * width, position).reshape(width, rows)
    return np.ascontiguousarray(planes.T).reshape(-1)
