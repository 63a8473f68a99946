"""Axes: where values lie between two ends, and at which round values the ticks are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_LARGEST = 1e150
"""Beyond that, the width of an axis would overflow."""
_SMALLEST = 1e-150
"""Below that, it would vanish."""


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic axis over ``low`` to ``high``, which differ."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float | None:
        """Return where a value is: 0 at the low end, 1 at the high one; None for what the axis cannot show."""
        if not drawable(value) or (self.log and value <= _SMALLEST):
            return None
        if self.log:
            return (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return (value - self.low) / (self.high - self.low)

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values inside the axis, lowest first."""
        if self.log and self.high / self.low >= 10:
            return _log_ticks(self.low, self.high, about)
        return _linear_ticks(self.low, self.high, about)


def fit(values: Iterable[float], *, log: bool = False) -> Scale | None:
    """Return an axis over all values that can be drawn, with a little room; None if there are none."""
    found = [value for value in values if drawable(value) and (value > _SMALLEST or not log)]
    if not found:
        return None
    low, high = min(found), max(found)
    if high - low <= 1e-12 * max(abs(low), abs(high)) + _SMALLEST:  # equal, or too close to be told apart
        room = abs(low) / 2 if abs(low) > _SMALLEST else 1.0
        return Scale(low / 2, high * 2, log) if log else Scale(low - room, high + room)
    if log:
        room = (high / low) ** 0.03
        return Scale(low / room, high * room, log)
    room = (high - low) * 0.03
    return Scale(low - room, high + room)


def drawable(value: float) -> bool:
    """Whether a value has a place on an axis: not NaN, not infinite, not absurd."""
    return abs(value) < _LARGEST


def tick_label(value: float) -> str:
    """Write a tick's value short: ``0.5``, ``20k``, ``1e-5``."""
    if 1e3 <= abs(value) < 1e12:
        for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= size:
                return f"{value / size:.4g}{letter}"
    text = f"{value:.4g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _linear_ticks(low: float, high: float, about: int) -> list[float]:
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    if last - first > 4 * about:  # the ends are too close together for the digits that a number has
        return [low, high]
    # The product is rounded to what the step can tell apart: 0.1 * 3 is no 0.30000000000000004.
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _log_ticks(low: float, high: float, about: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / (about + 1)))
    factors = (1, 2, 5) if high / low <= 200 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1, stride) for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]
