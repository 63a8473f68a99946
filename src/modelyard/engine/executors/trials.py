"""Which way trains the runs of one structure faster: measured in training itself, on steps to be taken anyway.

No rule predicts the winner: it depends on the model, the batch, the device and on what else runs on it. So the group
trains a few steps in each way in turn, and then goes on in the faster one.
"""

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

REPEATS = 2
"""Trials of each way, in turn, so that a disturbance hits all of them."""
WORTH_IT = 1.15
"""A stack must train at least so many times as fast as its members one after the other."""
ABOUT_AS_FAST = 0.9
"""Of the sizes that train about as fast as the fastest, the largest is taken."""
GROWTH = 1.5
"""A group that grew so much is measured again."""


@dataclass(frozen=True)
class Choice:
    """How a group trains."""

    members: int
    """Runs that train as one model; 1 stands for each by itself, in turns."""
    gain: float | None = None
    """How many times as fast as one after the other; None if that was not measured."""
    reason: str = ""
    """One sentence for people."""


@dataclass
class Trials:
    """Step times of one structure on one device."""

    most: int | None = None
    """The most members of a stack: a larger one did not fit into memory."""
    _seconds: dict[int, list[float]] = field(default_factory=dict)
    """Number of members to the times of one step of all of them together."""
    _todo: deque[int] = field(default_factory=deque)
    _largest: int = 1
    """The largest group that trials were planned for."""

    def wanted(self, size: int) -> int | None:
        """Return how many members the next trial should have, or None if enough is known about ``size`` runs."""
        size = self._limited(size)
        if size > 1 and size >= GROWTH * self._largest:
            self._largest = size
            self._todo = deque(sorted({1, size, max(2, size // 2)}) * REPEATS)
        while self._todo and self._todo[0] > size:
            self._todo.popleft()
        return self._todo[0] if self._todo else None

    def add(self, members: int, seconds: Sequence[float]) -> None:
        """Take the times of the steps of one trial."""
        self._seconds.setdefault(members, []).extend(seconds)
        if self._todo and self._todo[0] == members:
            self._todo.popleft()

    def does_not_fit(self, members: int) -> None:
        """Note that a stack of so many could not take a step although each of them could."""
        self.most = max(1, members // 2)
        self._seconds.pop(members, None)

    def choice(self, size: int) -> Choice:
        """Return the fastest way for a group of ``size`` runs; unmeasured sizes are between their neighbours."""
        size = self._limited(size)
        measured = sorted(self._seconds)
        if size < 2 or 1 not in measured or len(measured) < 2:
            return Choice(size)
        alone = statistics.median(self._seconds[1])
        sizes = {size, *(members for members in measured if 1 < members < size)}
        gains = {members: alone * members / self._predict(members) for members in sizes}
        fastest = max(gains.values())
        if fastest < WORTH_IT:
            return Choice(1, 1.0, f"one model for several runs trained at {fastest:.2f}x the speed of taking turns")
        best = max(members for members, gain in gains.items() if gain >= max(fastest * ABOUT_AS_FAST, WORTH_IT))
        return Choice(
            best, gains[best], f"{best} runs as one model trained at {gains[best]:.2f}x the speed of taking turns"
        )

    def _limited(self, size: int) -> int:
        return size if self.most is None else min(size, self.most)

    def _predict(self, members: int) -> float:
        """Return the seconds of a step of so many members: on the line through the nearest two that were measured."""
        known = {number: statistics.median(times) for number, times in self._seconds.items()}
        if members in known:
            return known[members]
        stacked = sorted((number for number in known if number > 1), key=lambda number: abs(number - members))[:2]
        if len(stacked) < 2:
            return known[stacked[0]] * members / stacked[0]
        low, high = sorted(stacked)
        slope = (known[high] - known[low]) / (high - low)
        return max(known[low] + slope * (members - low), 0.0) or known[low] * members / low
