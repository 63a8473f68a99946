"""Which points of several attempts count: one that starts again from a checkpoint overwrites what came after it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_NO_LIMIT = int(np.iinfo(np.int64).max)


def effective(
    steps: NDArray[np.int64], attempts: NDArray[np.int32], start_steps: Mapping[int, int]
) -> NDArray[np.int64]:
    """Return the positions of the points that count, sorted by step, then by arrival.

    A point counts iff its step is at most the start step of every attempt begun after its own, and no other point
    that passes this has the same step and a later attempt. ``start_steps`` maps each begun attempt to its start.
    """
    numbers, which = np.unique(attempts, return_inverse=True)
    limits = np.array([_limit(int(number), start_steps) for number in numbers], np.int64)
    positions = np.flatnonzero(steps <= limits[which])
    positions = positions[np.argsort(steps[positions], kind="stable")]
    if len(numbers) == 1 or not len(positions):
        return positions
    return _latest_attempt_of_each_step(positions, steps[positions], attempts[positions])


def _limit(attempt: int, start_steps: Mapping[int, int]) -> int:
    return min((start for later, start in start_steps.items() if later > attempt), default=_NO_LIMIT)


def _latest_attempt_of_each_step(
    positions: NDArray[np.int64], steps: NDArray[np.int64], attempts: NDArray[np.int32]
) -> NDArray[np.int64]:
    starts = np.flatnonzero(np.append(True, steps[1:] != steps[:-1]))
    latest = np.maximum.reduceat(attempts, starts)
    kept: NDArray[np.bool_] = attempts == np.repeat(latest, np.diff(np.append(starts, len(steps))))
    return positions[kept]
