"""How the levels of a pyramid are laid out: which there are, and how buckets are split into stored parts.

Level L has buckets of 2**L steps. A series has the levels base, base + 2, ... up to top: base holds about
``DENSITY`` points per bucket, and top is the first level on which the whole series fits ``2**PART_BITS`` buckets.
Buckets of a level are stored in parts of that many bucket numbers, so points that come in order touch only the last.
"""

from collections.abc import Iterator

import numpy as np

from modelyard.store.metrics.buckets import Buckets

DENSITY = 32
PART_BITS = 10
STRIDE = 2
SPARSE = 8


def base_level(first_step: int, last_step: int, count: int) -> int:
    """Return the level on which ``count`` points between two steps have about ``DENSITY`` points per bucket."""
    steps_per_bucket = (last_step - first_step + 1) * DENSITY // count
    return max(0, steps_per_bucket.bit_length() - 1)


def top_level(base: int, first_step: int, last_step: int) -> int:
    """Return the first level from ``base`` on which the steps span at most ``2**PART_BITS`` buckets."""
    top = base
    while (last_step >> top) - (first_step >> top) >> PART_BITS:
        top += STRIDE
    return top


def too_fine(points: int, buckets: int) -> bool:
    """Whether buckets have so few points that the level is not worth its bytes."""
    return points < buckets * SPARSE


def fitting_level(first_step: int, last_step: int, buckets: int) -> int:
    """Return the finest level on which the steps span at most ``buckets`` buckets."""
    level = 0
    while (last_step >> level) - (first_step >> level) >= buckets and level < 63:
        level += 1
    return level


def split(buckets: Buckets) -> Iterator[tuple[int, Buckets]]:
    """Yield (part number, its buckets)."""
    parts = buckets.index >> PART_BITS
    starts = np.flatnonzero(np.diff(parts, prepend=parts[:1] - 1))
    for start, stop in zip(starts, np.append(starts[1:], len(buckets)), strict=True):
        yield int(parts[start]), buckets.slice(int(start), int(stop))


def part_of(step: int, level: int) -> int:
    """Return the number of the part that has the bucket of ``step``."""
    return step >> level >> PART_BITS
