"""What a reader of metrics gets: a whole history, or one drawn small."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """Points of one metric of one run, one row each; all arrays have the same length."""

    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    """Seconds since 1970 (UTC), kept to the millisecond."""
    values: NDArray[np.float64]
    attempts: NDArray[np.int32]
    """The attempt that logged the point."""

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrived:
    """What was appended to a metric since somebody looked last."""

    points: Series
    next: int
    """The cursor to go on from: how many points were ever appended."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChartSeries:
    """A history in few buckets, for drawing; all arrays have the same length, empty buckets are left out.

    Bucket number ``steps // width`` covers that many whole steps, and ``width`` is the same power of two for every
    run of a chart, so the buckets of different runs lie upon each other. Minimum, maximum and mean leave NaN out (a
    bucket of nothing else has NaN); the mean is rounded to float32 where the values are float32.
    """

    width: int
    """Steps per bucket; 1 means that nothing was merged but points of the same step."""
    steps: NDArray[np.int64]
    """The last step of each bucket that has a point."""
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    last: NDArray[np.float64]
    """The value at ``steps``; of several points there, the one logged last."""

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """The lowest or highest value of a history."""

    step: int
    """The first step that has it."""
    value: float
