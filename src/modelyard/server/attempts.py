"""Slows down who guesses passwords."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

FREE = 5
"""Failures of one address with one name that cost nothing."""
FREE_FOR_ADDRESS = 20
"""Failures of one address with whatever names."""
LONGEST_WAIT = 900.0
REMEMBERED = 10_000
"""Addresses and names; the one that failed longest ago is forgotten first."""


@dataclass(frozen=True)
class _Failures:
    count: int
    until: float
    """Monotonic time before which no other attempt is heard."""


class Attempts:
    """Counts failures in memory, by address, and by address and name: nobody can lock out somebody elsewhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, ...], _Failures] = OrderedDict()

    def wait(self, address: str, name: str) -> int:
        """Return how many seconds this address has to wait before its next attempt with this name; 0 for none."""
        now = self._clock()
        waits = [found.until - now for key in _keys(address, name) if (found := self._failures.get(key)) is not None]
        return max(0, ceil(max(waits, default=0.0)))

    def failed(self, address: str, name: str) -> None:
        """Take note of a wrong password; each one beyond the free ones doubles the wait."""
        now = self._clock()
        for key, free in zip(_keys(address, name), (FREE_FOR_ADDRESS, FREE), strict=True):
            before = self._failures.pop(key, _Failures(0, 0.0))
            count = before.count + 1
            wait = 0.0 if count < free else min(LONGEST_WAIT, 2.0 ** min(count - free, 30))
            self._failures[key] = _Failures(count, now + wait)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """Forget the failures of an address with a name."""
        self._failures.pop(_keys(address, name)[1], None)


def _keys(address: str, name: str) -> Sequence[tuple[str, ...]]:
    return ((address,), (address, name[:100].lower()))
