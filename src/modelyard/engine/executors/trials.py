"""Which way trains the runs of one structure faster: measured in training itself, on steps to be taken anyway.

No rule predicts the winner: it depends on the model, the batch, the device and on what else runs on it. So the group
trains a few steps in each way in turn, and then goes on in the faster one.
"""

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.domain.measurement import choose_members

REPEATS = 2
"""Trials of each way, in turn, so that a disturbance hits all of them."""
GROWTH = 1.5
"""A group that grew so much beyond all stacks that were measured, or shrank so much below, is measured again."""


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
    """The most members of a stack: a larger one did not fit into memory, or its model refused to be one of several."""
    _why_not: str = ""
    """What was raised then."""
    _seconds: dict[int, list[float]] = field(default_factory=dict)
    """Number of members to the times of one step of all of them together."""
    _recalled: dict[int, str] = field(default_factory=dict)
    """Numbers of members that were measured before this process, and on which day."""
    _todo: deque[int] = field(default_factory=deque)
    _taken: bool = False
    """Whether there are times of the first of them."""

    @property
    def refusal(self) -> str:
        """Why not even two of the runs could take a step as one model; empty if they could, or nobody tried."""
        return f"its model could not be stacked: {self._why_not}" if self.most == 1 else ""

    def recall(self, seconds: Mapping[int, float], days: Mapping[int, str]) -> None:
        """Take what was measured before, and on which day: it need not be tried again."""
        for members, value in seconds.items():
            self._seconds[members] = [value]
            self._recalled[members] = days[members]

    def wanted(self, size: int) -> int | None:
        """Return how many members the next trial should have, or None if enough is known about ``size`` runs."""
        size = self._limited(size)
        if size > 1 and not self._knows(size):
            self._todo = deque(sorted({1, size, max(2, size // 2)}) * REPEATS)
            self._taken = False
        while self._todo and self._todo[0] > size:
            self._todo.popleft()
            self._taken = False
        return self._todo[0] if self._todo else None

    def _knows(self, size: int) -> bool:
        """Whether stacks of about this size, and one run alone, were measured or are about to be."""
        known = {*self._seconds, *self._todo}
        stacks = known - {1}
        return 1 in known and bool(stacks) and min(stacks) < size * GROWTH and size < max(stacks) * GROWTH

    def add(self, members: int, seconds: Sequence[float]) -> None:
        """Take the times of steps that were taken for the present trial."""
        if self._recalled.pop(members, None) is not None:
            del self._seconds[members]
        self._seconds.setdefault(members, []).extend(seconds)
        self._taken = bool(self._todo) and self._todo[0] == members

    def go_on(self) -> None:
        """End the present trial if there are times of it."""
        if self._taken:
            self._todo.popleft()
            self._taken = False

    def news(self) -> dict[int, Sequence[float]]:
        """Return the times that were measured here, by number of members; nothing while there is more to be tried."""
        if self._todo:
            return {}
        return {members: times for members, times in self._seconds.items() if members not in self._recalled}

    def does_not_fit(self, members: int, why: str) -> None:
        """Note that a stack of so many could not take a step although each of them could, and what it raised."""
        self._why_not = why
        self.most = max(1, members // 2)
        self._seconds.pop(members, None)
        self._recalled.pop(members, None)

    def choice(self, size: int) -> Choice:
        """Return the fastest way for a group of ``size`` runs; unmeasured sizes are between their neighbours."""
        size = self._limited(size)
        measured = sorted(self._seconds)
        if self.most == 1:
            return Choice(1, reason=self.refusal)
        if size < 2 or 1 not in measured or len(measured) < 2:
            return Choice(size)
        alone = statistics.median(self._seconds[1])
        sizes = {size, *(members for members in measured if 1 < members < size)}
        gains = {members: alone * members / self._predict(members) for members in sizes}
        best = choose_members(gains)
        if best == 1:
            fastest = max(gains.values())
            reason = f"one model for several runs trained at {fastest:.2f}x the speed of taking turns"
            return Choice(1, 1.0, reason + self._when(size))
        reason = f"{best} runs as one model trained at {gains[best]:.2f}x the speed of taking turns"
        return Choice(best, gains[best], reason + self._when(best))

    def _when(self, members: int) -> str:
        day = self._recalled.get(1) or self._recalled.get(members)
        return f", as measured on {day}" if day else ""

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
