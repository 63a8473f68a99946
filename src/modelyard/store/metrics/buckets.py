"""Minimum, maximum, mean and last value per bucket of 2**level steps: what the levels of a pyramid hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.store.metrics.codec import exact_float32, pack, unpack


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Buckets that have points, in order, one row each. Bucket i covers steps [i * 2**level, (i + 1) * 2**level)."""

    index: NDArray[np.int64]
    weight: NDArray[np.int64]
    """Number of points that are not NaN: the weight of the mean."""
    step: NDArray[np.int64]
    """The last step that has a point."""
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    last: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.index)

    def slice(self, start: int, stop: int) -> "Buckets":
        """Return rows ``start:stop`` as views."""
        return Buckets(*(getattr(self, name)[start:stop] for name in self.__slots__))


def empty() -> Buckets:
    """Return no buckets."""
    integers, floats = np.zeros(0, np.int64), np.zeros(0)
    return Buckets(integers, integers, integers, floats, floats, floats, floats)


def reduce_points(steps: NDArray[np.int64], values: NDArray[np.float64], level: int) -> Buckets:
    """Reduce points in order of arrival (any order of steps) to buckets of ``2**level`` steps."""
    valid = ~np.isnan(values)
    points = Buckets(steps >> level, valid.astype(np.int64), steps, values, values, values, values)
    return _merge(points)


def merge(parts: Sequence[Buckets]) -> Buckets:
    """Unite buckets of one level; where steps are equal the later part has the last word."""
    if len(parts) == 1:
        return parts[0]
    return _merge(Buckets(*(np.concatenate([getattr(part, name) for part in parts]) for name in Buckets.__slots__)))


def coarsen(buckets: Buckets, levels: int) -> Buckets:
    """Reduce to buckets that are ``2**levels`` times as wide."""
    if levels == 0:
        return buckets
    wide = Buckets(buckets.index >> levels, *(getattr(buckets, name) for name in Buckets.__slots__[1:]))
    return _merge(wide)


def _merge(rows: Buckets) -> Buckets:
    """Merge rows with the same index. Rows are sorted by (index, step) first unless they are; ties keep their order."""
    if np.any(rows.step[1:] < rows.step[:-1]):  # steps in order means indices in order
        order = np.argsort(rows.step, kind="stable")
        rows = Buckets(*(getattr(rows, name)[order] for name in Buckets.__slots__))
    starts = np.flatnonzero(np.diff(rows.index, prepend=rows.index[:1] - 1))
    if len(starts) == len(rows):
        return rows
    ends = np.append(starts[1:], len(rows)) - 1
    weight = np.add.reduceat(rows.weight, starts)
    with np.errstate(all="ignore"):  # infinities of both signs have no mean, huge values no finite sum
        sums = np.add.reduceat(np.where(rows.weight > 0, rows.mean * rows.weight, 0.0), starts)
        mean = np.where(weight > 0, sums / weight, np.nan)
        return Buckets(
            rows.index[starts],
            weight,
            rows.step[ends],
            np.fmin.reduceat(rows.minimum, starts),
            np.fmax.reduceat(rows.maximum, starts),
            mean,
            rows.last[ends],
        )


def pack_buckets(buckets: Buckets) -> bytes:
    """Encode buckets; the mean is rounded to float32 if all other columns are float32 exactly."""
    floats = [buckets.minimum, buckets.maximum, buckets.last]
    mean = buckets.mean
    if all(exact_float32(column) is not None for column in floats):
        with np.errstate(over="ignore"):
            mean = mean.astype(np.float32).astype(np.float64)
    return pack([buckets.index, buckets.weight, buckets.step], [*floats, mean])


def unpack_buckets(data: bytes) -> Buckets:
    """Decode what ``pack_buckets`` made."""
    (index, weight, step), (minimum, maximum, last, mean) = unpack(data)
    return Buckets(index, weight, step, minimum, maximum, mean, last)
