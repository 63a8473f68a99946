"""Rungs: trials that came as far are ranked, and the best share of them goes on to the next rung."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.schedulers._base import Drop, GoOn
from modelyard.scheduler.search.trial import Trial, TrialStatus

_SHARES = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}


@dataclass
class Rung:
    """What is known at one epoch."""

    epoch: int
    ranking: list[tuple[float, int]] = field(default_factory=list)
    """Loss and trial of all that came so far, best first."""
    waiting: dict[int, float] = field(default_factory=dict)
    """Trial to loss of those that may still go on from here."""


class Halving:
    """One bracket of successive halving."""

    def __init__(self, epochs: Sequence[int], *, reduction: int, goal: Goal) -> None:
        """``epochs``: of the rungs; at the last one a run is at its end."""
        self.rungs = [Rung(epoch) for epoch in epochs]
        self.highest = len(epochs) - 1
        """The last rung that trials may be promoted to."""
        self._reduction = reduction
        self._goal = goal
        self._absences: dict[int, str] = {}
        """Trial to why it has no loss."""

    def report(self, trial: Trial) -> int | None:
        """Rank a trial at the rung that it was to reach; return the rung's index. One that left is not ranked."""
        if trial.status is TrialStatus.LEFT:
            return None
        index = next(index for index, rung in enumerate(self.rungs) if rung.epoch >= trial.until)
        rung = self.rungs[index]
        insort(rung.ranking, (trial.loss, trial.number))
        if trial.loss == WORST:
            self._absences[trial.number] = self._goal.absence(trial.newest)
        if trial.status is TrialStatus.WAITING:
            rung.waiting[trial.number] = trial.loss
        return index

    def leave(self, trial: int) -> None:
        """Forget that a trial waits; it stays in the ranking."""
        for rung in self.rungs:
            rung.waiting.pop(trial, None)

    def promote(self) -> GoOn | None:
        """Return the best trial that may go on now, from the highest rung that has one."""
        for index in range(self.highest - 1, -1, -1):
            rung = self.rungs[index]
            for place in range(len(rung.ranking) // self._reduction):
                loss, trial = rung.ranking[place]
                if trial in rung.waiting and loss < WORST:
                    return self._go_on(index, trial, f"and the best {self._share} goes on")
        return None

    def win(self) -> GoOn | None:
        """Let the best of those that came furthest train to its end, unless one has: there has to be one that does."""
        if any(loss < WORST for loss, _ in self.rungs[-1].ranking):
            return None
        for index in range(len(self.rungs) - 2, -1, -1):
            waiting = [(loss, trial) for trial, loss in self.rungs[index].waiting.items() if loss < WORST]
            if waiting:
                _, trial = min(waiting)
                return self._go_on(index, trial, "the best of those that came furthest, so it trains to its end", to=-1)
        return None

    def drop(self, why: str = "") -> Drop | None:
        """Give up the next trial that waits, furthest first; ``why`` is for those that were good enough to go on."""
        for index in range(len(self.rungs) - 1, -1, -1):
            rung = self.rungs[index]
            for trial in list(rung.waiting):
                del rung.waiting[trial]
                return Drop(trial, self._why_not(rung, trial, why))
        return None

    def end(self, why: str = "") -> GoOn | Drop | None:
        """Return the next verdict once nothing trains: one trial goes to its end if none did, others are dropped."""
        return self.win() or self.drop(why)

    def _go_on(self, index: int, trial: int, why: str, *, to: int | None = None) -> GoOn:
        rung = self.rungs[index]
        until = self.rungs[index + 1 if to is None else to].epoch
        loss = rung.waiting.pop(trial)
        standing = f"{self._goal.shown(loss)} is {self._place(rung, loss, trial)} at epoch {rung.epoch}"
        return GoOn(trial, until, f"goes on to epoch {until}: {standing}, {why}")

    def _why_not(self, rung: Rung, trial: int, why: str) -> str:
        loss = next(loss for loss, number in rung.ranking if number == trial)
        stopped = f"stopped at epoch {rung.epoch}: "
        if loss == WORST:
            return f"{stopped}{self._absences[trial]}"
        standing = f"{stopped}{self._goal.shown(loss)} is {self._place(rung, loss, trial)} there"
        count = len(rung.ranking) // self._reduction
        if count == 0:
            return f"{standing}; too few came as far for one of them to go on"
        limit = rung.ranking[count - 1][0]
        if (loss, trial) <= rung.ranking[count - 1]:
            return f"{standing}; {why}"
        tie = ", of equal ones those that began first" if loss == limit else ""
        return f"{standing}; the best {self._share} goes on ({self._goal.limit(limit)}{tie})"

    @staticmethod
    def _place(rung: Rung, loss: float, trial: int) -> str:
        return f"{ordinal(bisect_left(rung.ranking, (loss, trial)) + 1)} of {len(rung.ranking)}"

    @property
    def _share(self) -> str:
        return _SHARES.get(self._reduction, f"1 in {self._reduction}")


def ordinal(number: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``4th``, ``11th``."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
