"""Hyperband: brackets of successive halving that start at different rungs. Li et al., 2018 (arXiv 1603.06560); each
bracket promotes without waiting, as ASHA does.

In the paper a bracket always has as many configurations as leave one for the last rung. Here a search has as many as it
has, so that a bracket may be short of some; its best one trains to its end all the same.
"""

import math
from collections import deque

from modelyard.domain.schedulers import Hyperband, rungs
from modelyard.scheduler.search.goal import Goal
from modelyard.scheduler.search.schedulers._base import GoOn, Verdict
from modelyard.scheduler.search.schedulers.halving import Halving
from modelyard.scheduler.search.trial import Trial


class HyperbandScheduler:
    """Deals new trials out to brackets in fixed shares, so that a trial's bracket depends on its number alone."""

    def __init__(self, config: Hyperband, goal: Goal, *, epochs: int) -> None:
        """``epochs``: of a whole run."""
        levels = (*rungs(config.min_epochs, config.reduction, epochs), epochs)
        self._brackets = [
            Halving(levels[first:], reduction=config.reduction, goal=goal) for first in range(len(levels))
        ]
        self._shares = [
            math.ceil(len(levels) / (count + 1) * config.reduction**count) for count in reversed(range(len(levels)))
        ]
        self._dealt = [0] * len(levels)
        self._home: dict[int, Halving] = {}
        self._winners: deque[GoOn] = deque()

    def begin(self, trial: int) -> int:
        """Train to the first rung of its bracket: the one that is furthest behind its share."""
        total = sum(self._dealt) + 1
        lag = [
            share / sum(self._shares) * total - dealt for share, dealt in zip(self._shares, self._dealt, strict=True)
        ]
        chosen = max(range(len(lag)), key=lambda index: (lag[index], -index))
        self._dealt[chosen] += 1
        self._home[trial] = self._brackets[chosen]
        return self._brackets[chosen].rungs[0].epoch

    def report(self, trial: Trial) -> None:
        """Rank it in its bracket."""
        self._home[trial.number].report(trial)

    def leave(self, trial: int) -> None:
        """Forget it."""
        self._home[trial].leave(trial)
        self._winners = deque(one for one in self._winners if one.trial != trial)

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Promote in the first bracket that can; at the end the best of each trains on, and the others are dropped."""
        for bracket in self._brackets:
            promoted = bracket.promote()
            if promoted is not None:
                return promoted
        if last and not self._winners:
            self._winners.extend(winner for bracket in self._brackets if (winner := bracket.win()) is not None)
        if self._winners:
            return self._winners.popleft()
        drops = (bracket.drop() for bracket in self._brackets) if last else ()
        return next((drop for drop in drops if drop is not None), None)
