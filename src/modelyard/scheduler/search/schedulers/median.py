"""The median stopping rule. Golovin et al., Google Vizier, 2017, section 3.2.1.

A run ends if its best value by an epoch is worse than the median of the others' running averages up to that epoch.
"""

import statistics
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping

from modelyard.domain.schedulers import Median
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.schedulers._base import Drop, GoOn, Verdict
from modelyard.scheduler.search.trial import Trial, TrialStatus


class _Averages:
    """The mean of a trial's losses up to each of its epochs."""

    def __init__(self) -> None:
        self._epochs: list[int] = []
        self._means: list[float] = []
        self._sum = 0.0
        self._count = 0

    def take(self, losses: Mapping[int, float]) -> None:
        """Add the epochs that are new."""
        for epoch in list(losses)[len(self._epochs) :]:
            if losses[epoch] < WORST:
                self._sum += losses[epoch]
                self._count += 1
            self._epochs.append(epoch)
            self._means.append(self._sum / self._count if self._count else WORST)

    def at(self, epoch: int) -> float | None:
        """Return the mean up to an epoch; None if the trial did not come so far, or has no loss."""
        place = bisect_right(self._epochs, epoch)
        if place == 0 or self._epochs[-1] < epoch or self._means[place - 1] == WORST:
            return None
        return self._means[place - 1]


class MedianScheduler:
    """Looks at each trial after ``grace`` epochs, and every ``interval`` epochs from then on."""

    def __init__(self, config: Median, goal: Goal) -> None:
        self._config = config
        self._goal = goal
        self._curves: dict[int, _Averages] = {}
        self._verdicts: deque[Verdict] = deque()

    def begin(self, trial: int) -> int:
        """Train for the epochs of grace."""
        del trial
        return self._config.grace

    def report(self, trial: Trial) -> None:
        """Judge a trial by those that have come as far."""
        if trial.status is not TrialStatus.LEFT:
            self._curves.setdefault(trial.number, _Averages()).take(trial.losses)
        if trial.status is TrialStatus.WAITING:
            self._verdicts.append(self._judge(trial))

    def leave(self, trial: int) -> None:
        """Forget that it was to go on."""
        self._verdicts = deque(one for one in self._verdicts if isinstance(one, GoOn | Drop) and one.trial != trial)

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Return the judgements in their order."""
        del last
        return self._verdicts.popleft() if self._verdicts else None

    def _judge(self, trial: Trial) -> Verdict:
        epoch = trial.epoch
        until = min(epoch + self._config.interval, trial.most)
        best = min(trial.losses.values(), default=WORST)
        if best == WORST:
            return Drop(trial.number, f"stopped at epoch {epoch}: {self._goal.absence(trial.newest)}")
        curves = [curve for number, curve in self._curves.items() if number != trial.number]
        averages = [average for curve in curves if (average := curve.at(epoch)) is not None]
        count = len(averages)
        if count < self._config.min_runs:
            others = f"{count} other run{'s' * (count != 1)}"
            return GoOn(trial.number, until, f"goes on to epoch {until}: only {others} came to epoch {epoch} so far")
        median = statistics.median(averages)
        value, limit = self._goal.shown(best), self._goal.value(median)
        than = f"{limit}, the median of the running averages of {count} others"
        if best > median:
            return Drop(trial.number, f"stopped at epoch {epoch}: its best {value} is worse than {than}")
        return GoOn(trial.number, until, f"goes on to epoch {until}: its best {value} is no worse than {than}")
