"""The values of one dimension: all that a grid takes from it, or the one that a random sample draws."""

import hashlib
import math

from modelyard.domain.search import Dimension, Json

_DIGITS = 6
"""Significant digits of a computed value: enough for any hyperparameter, short to read, alike on every machine."""


def grid_values(dimension: Dimension, *, whole: bool = False) -> tuple[Json, ...]:
    """Return a dimension's values in order, without repeats. ``whole`` rounds those of a ``log`` range."""
    if dimension.choice is not None:
        return dimension.choice
    assert dimension.points is not None, "SearchConfig refuses a grid over a range without points"
    last = dimension.points - 1
    values = [_at(dimension, index / last, whole=whole) for index in range(dimension.points)]
    return tuple(dict.fromkeys(values))


def draw(dimension: Dimension, *, seed: int, path: str, sample: int, whole: bool = False) -> Json:
    """Return the value of one dimension in one sample.

    It depends on the seed, the dimension's path and the sample's number alone, so adding or removing a dimension
    leaves the draws of all others as they were.
    """
    share = uniform(f"{seed}\0{path}\0{sample}")
    if dimension.choice is not None:
        return dimension.choice[int(share * len(dimension.choice))]
    if dimension.int is not None:
        low, high = dimension.int
        return low + int(share * (high - low + 1))
    return _at(dimension, share, whole=whole)


def uniform(key: str) -> float:
    """Return a number from 0 (included) to 1 (not included) that is a hash of ``key``: 53 bits of BLAKE2b."""
    bits = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
    return (bits >> 11) * 2.0**-53


def _at(dimension: Dimension, share: float, *, whole: bool) -> int | float:
    """Return the value at ``share`` of the way through a range; both ends are exact."""
    assert dimension.bounds is not None, "only a range has a way through it"
    low, high = dimension.bounds
    value = low * math.pow(high / low, share) if dimension.log is not None else low + (high - low) * share
    if dimension.int is not None or (dimension.log is not None and whole):
        return min(max(round(value), math.ceil(low)), math.floor(high))
    if share in {0.0, 1.0}:
        return low if share == 0.0 else high
    return rounded(value, low, high)


def rounded(value: float, low: float, high: float) -> float:
    """Return a value with six significant digits, still between the two ends."""
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)
