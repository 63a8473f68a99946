"""Random numbers by key: a pure function of (seed, epoch, sample, operation, draw), with no state to save.

A counter-based generator: the finaliser of splitmix64 (Steele, Lea and Flood, 2014) over the key's parts in turn. So a
sample gets the same numbers in any batch, on any device, and after a resume; no global generator is touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Bits = np.ndarray[Any, np.dtype[np.uint64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Draws:
    """One operation's random numbers for K samples."""

    bits: Bits
    """uint64 [K, draws]."""

    def uniform(self, draw: int, low: float = 0.0, high: float = 1.0) -> Floats:
        """Return float64 [K], strictly between ``low`` and ``high``."""
        # The upper 52 bits, so that half a step from either end is still a float64.
        unit = ((self.bits[:, draw] >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return unit * (high - low) + low

    def take(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> "Draws":
        """Return the numbers of some of the samples."""
        return Draws(self.bits[rows])


class KeyedRandom:
    """The random numbers of a list of operations, each with a fixed number of draws."""

    def __init__(self, seed: int, draws: Sequence[int]) -> None:
        self._seed = _mix(np.array([seed], dtype=np.uint64))
        columns = [(position << 32) + draw for position, count in enumerate(draws) for draw in range(count)]
        self._columns = _mix(np.array(columns, dtype=np.uint64))
        stops = np.cumsum(draws).tolist()
        self._slices = [slice(stop - count, stop) for stop, count in zip(stops, draws, strict=True)]

    def draw(self, *, epoch: int, samples: np.ndarray[Any, np.dtype[np.int64]]) -> list[Draws]:
        """Return each operation's numbers for samples int64 [B] in ``epoch``."""
        of_epoch = _mix(self._seed ^ np.uint64(epoch))
        of_sample = _mix(of_epoch ^ samples.astype(np.uint64))
        bits = _mix(of_sample[:, None] ^ self._columns)
        return [Draws(bits[:, part]) for part in self._slices]


def symmetric_beta(draws: Draws, first: int, alpha: float) -> Floats:
    """Return float64 [K] from Beta(alpha, alpha), using the draws ``first`` and ``first + 1``.

    Bailey's polar method gives Student's t with 2 alpha degrees of freedom from two uniform numbers, without rejection;
    the t value maps to the beta (Bailey, 1994; Devroye, "Random Variate Generation in One Line of Code", 1996).
    """
    cosine = np.cos(2 * np.pi * draws.uniform(first + 1))
    with np.errstate(over="ignore", divide="ignore"):
        squared = (draws.uniform(first) ** (-1 / alpha) - 1) * cosine**2  # t squared over its degrees of freedom
        beta: Floats = 0.5 + 0.5 * np.sign(cosine) / np.sqrt(1 + 1 / squared)
    return beta


def _mix(values: Bits) -> Bits:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
