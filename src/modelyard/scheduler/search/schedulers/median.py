"""The median stopping rule. Golovin et al., Google Vizier, 2017, section 3.2.1.

A run ends if its best value by an epoch is worse than the median of the others' running averages up to that epoch.
"""

import statistics
from collections import deque
from collections.abc import Mapping

from modelyard.domain.schedulers import Median
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.schedulers._base import Drop, GoOn, Verdict
from modelyard.scheduler.search.trial import Trial, TrialStatus


class MedianScheduler:
    """Looks at each trial after ``grace`` epochs, and every ``interval`` epochs from then on."""

    def __init__(self, config: Median, goal: Goal) -> None:
        self._config = config
        self._goal = goal
        self._curves: dict[int, Mapping[int, float]] = {}
        self._verdicts: deque[Verdict] = deque()

    def begin(self, trial: int) -> int:
        """Train for the epochs of grace."""
        del trial
        return self._config.grace

    def report(self, trial: Trial) -> None:
        """Judge a trial by those that have come as far."""
        if trial.status is not TrialStatus.LEFT:
            self._curves[trial.number] = trial.losses
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
            return Drop(trial.number, f"stopped at epoch {epoch}: it reported {self._goal.shown(best)}")
        averages = [
            statistics.fmean(losses)
            for number, curve in self._curves.items()
            if number != trial.number and max(curve, default=0) >= epoch
            if (losses := [loss for at, loss in curve.items() if at <= epoch and loss < WORST])
        ]
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
