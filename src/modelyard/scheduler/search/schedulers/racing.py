"""Racing: a run ends once it is worse than the best beyond doubt, sample by sample of the validation data.

At each look all runs that are left are at the same epoch. The leader is the one with the best mean score. For every
other one, the differences of the two runs' scores of the same samples are tested by betting (Waudby-Smith and Ramdas,
2024, arXiv 2010.09686): money is put, one sample after the other in a random order, on the leader being better by more
than the tolerance. If it is not, the money is a supermartingale, so that it ever grows 1/a-fold with chance a at most
(Ville), however long one looks. ``alpha`` is split evenly over all looks and all ordered pairs of runs, because the
leader is chosen by the same samples.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from modelyard.domain.sample_scores import Scores
from modelyard.domain.schedulers import Racing
from modelyard.scheduler.search.goal import Goal
from modelyard.scheduler.search.schedulers._base import Drop, GoOn, Verdict
from modelyard.scheduler.search.trial import Trial, TrialStatus

_MOST_BET = 0.75
"""Share of the money that can be lost with one sample: below 1, so that it is never all gone."""


class RacingScheduler:
    """Looks at all trials that are left every ``interval`` epochs."""

    def __init__(self, config: Racing, goal: Goal, *, epochs: int, seed: int) -> None:
        """``epochs``: of a whole run; ``seed`` orders the samples."""
        self._config = config
        self._goal = goal
        self._interval = config.every(epochs)
        self._looks = max(1, (epochs - 1) // self._interval)
        self._seed = seed
        self._begun = 0
        self._waiting: dict[int, Trial] = {}
        self._misses: dict[int, int] = {}
        self._verdicts: deque[Verdict] = deque()

    def begin(self, trial: int) -> int:
        """Train to the first look."""
        del trial
        self._begun += 1
        return self._interval

    def report(self, trial: Trial) -> None:
        """Have it wait for the others."""
        if trial.status is TrialStatus.WAITING:
            self._waiting[trial.number] = trial

    def leave(self, trial: int) -> None:
        """Forget it."""
        self._waiting.pop(trial, None)
        self._verdicts = deque(one for one in self._verdicts if isinstance(one, GoOn | Drop) and one.trial != trial)

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Return what follows from the last look; once all of that is done, look again."""
        if not self._verdicts and last and self._waiting:
            self._verdicts.extend(self._look(list(self._waiting.values())))
            self._waiting = {}
        return self._verdicts.popleft() if self._verdicts else None

    @property
    def alpha(self) -> float:
        """What one comparison may use of the config's alpha."""
        return self._config.alpha / (self._looks * max(1, self._begun * (self._begun - 1)))

    def _look(self, trials: Sequence[Trial]) -> Iterator[Verdict]:
        leader = max(
            (trial for trial in trials if trial.scores is not None),
            key=lambda trial: (_mean(trial), -trial.number),
            default=None,
        )
        for trial in trials:
            until = min(trial.epoch + self._interval, trial.most)
            if leader is None or trial is leader or not _comparable(trial, leader):
                why = "it leads" if trial is leader else "there are no scores of the same samples to compare it by"
                yield GoOn(trial.number, until, f"goes on to epoch {until}: {why}")
                continue
            yield self._compare(trial, leader, until)

    def _compare(self, trial: Trial, leader: Trial, until: int) -> Verdict:
        assert trial.scores is not None
        assert leader.scores is not None
        order = np.random.default_rng((self._seed, trial.epoch)).permutation(len(trial.scores))
        worse = is_better(leader.scores[order], trial.scores[order], by=self._config.tolerance, alpha=self.alpha)
        self._misses[trial.number] = self._misses.get(trial.number, 0) + 1 if worse else 0
        misses, most = self._misses[trial.number], self._config.patience
        standing = f"its score {_mean(trial):.4f} against {_mean(leader):.4f} of trial {leader.number}"
        if misses < most:
            found = f"worse beyond doubt at {misses} of {most} looks in a row" if worse else "not worse beyond doubt"
            return GoOn(trial.number, until, f"goes on to epoch {until}: {standing}, {found}")
        times = "" if most == 1 else f" at {most} looks in a row"
        beyond = f" by more than {self._config.tolerance:g}" if self._config.tolerance else ""
        reason = f"stopped at epoch {trial.epoch}: {standing}, over the same {len(order)} samples, worse{beyond}{times}"
        return Drop(trial.number, f"{reason} (racing, alpha {self._config.alpha:g})")


def is_better(better: Scores, worse: Scores, *, by: float, alpha: float) -> bool:
    """Whether one run's mean score is above another's by more than ``by``, with an error of ``alpha`` at most.

    Both [samples], between 0 and 1, of the same samples in a random order.
    """
    centre = (1 + by) / 2
    values = (better - worse + 1) / 2  # in [0, 1]; its mean is at most ``centre`` if there is nothing to find
    count = np.arange(1, len(values) + 1)
    mean = (centre + np.cumsum(values)) / (count + 1)
    spread = (0.25 + np.cumsum((values - mean) ** 2)) / (count + 1)
    mean, spread = np.r_[centre, mean[:-1]], np.r_[0.25, spread[:-1]]  # a bet knows only the samples before
    edge = mean - centre
    bets = np.clip(edge / (spread + edge**2), 0.0, _MOST_BET / centre)
    money = np.cumsum(np.log1p(bets * (values - centre)))
    return bool(money.size and money.max() >= -math.log(alpha))


def _mean(trial: Trial) -> float:
    return -math.inf if trial.scores is None else float(trial.scores.mean())


def _comparable(one: Trial, other: Trial) -> bool:
    return one.scores is not None and other.scores is not None and len(one.scores) == len(other.scores)
