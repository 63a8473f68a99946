"""A chart of several curves in text."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

MARKS = "●▲■◆○△□◇"
"""One mark per curve; the ninth starts over."""


@dataclass(frozen=True)
class Curve:
    """One curve; both sequences have the same length."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]


def draw(curves: Sequence[Curve], *, width: int, height: int) -> list[str]:
    """Return lines of text: the values with an axis on the left, steps below, a legend. NaN is left out."""
    points = [(index, step, value) for index, curve in enumerate(curves) for step, value in _finite(curve)]
    if not points:
        return ["no finite values"]
    lowest, highest = min(p[2] for p in points), max(p[2] for p in points)
    first, last = min(p[1] for p in points), max(p[1] for p in points)
    height = height if lowest < highest else 1
    labels = _labels([_at(lowest, highest, (height - 1 - row) / max(1, height - 1)) for row in range(height)])
    margin = max(map(len, labels))
    columns = max(10, width - margin - 3)
    canvas = [[" "] * columns for _ in range(height)]
    for index, curve in enumerate(curves):
        for step, value in _joined(_finite(curve), (last - first) / columns):
            row = height - 1 - _place(value, lowest, highest, height)
            canvas[row][_place(step, first, last, columns)] = MARKS[index % len(MARKS)]
    lines = [f"{label:>{margin}} ┤{''.join(row).rstrip()}" for label, row in zip(labels, canvas, strict=True)]
    lines.append(f"{' ' * margin} └{'─' * columns}")
    ends = f"step {first:g}", f"{last:g}"
    lines.append(f"{' ' * (margin + 2)}{ends[0]}{' ' * max(1, columns - len(ends[0]) - len(ends[1]))}{ends[1]}")
    lines += [f"{MARKS[index % len(MARKS)]} {curve.name}" for index, curve in enumerate(curves)]
    return lines


def _labels(values: Sequence[float]) -> list[str]:
    """Write values with as few digits as tell them apart."""
    for digits in range(4, 16):
        labels = [f"{value:.{digits}g}" for value in values]
        if len(set(labels)) == len(labels):
            break
    return labels


def _finite(curve: Curve) -> list[tuple[float, float]]:
    pairs = zip(curve.steps, curve.values, strict=True)
    return [(step, value) for step, value in pairs if math.isfinite(value)]


def _joined(points: Sequence[tuple[float, float]], gap: float) -> Iterator[tuple[float, float]]:
    """Yield the points, and between two that are further apart than ``gap`` those on the line between them."""
    yield from points
    for (left, low), (right, high) in pairwise(points):
        between = int((right - left) / gap) if gap else 0
        for number in range(1, between):
            share = number / between
            yield left + (right - left) * share, low + (high - low) * share


def _place(value: float, low: float, high: float, cells: int) -> int:
    return 0 if high == low else round((value - low) / (high - low) * (cells - 1))


def _at(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
