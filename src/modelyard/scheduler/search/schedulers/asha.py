"""ASHA: asynchronous successive halving by promotion. Li et al., A System for Massively Parallel Hyperparameter
Tuning, 2020 (arXiv 1810.05934), algorithm 2."""

from modelyard.domain.schedulers import Asha, rungs
from modelyard.scheduler.search.goal import Goal
from modelyard.scheduler.search.schedulers._base import Verdict
from modelyard.scheduler.search.schedulers.halving import Halving
from modelyard.scheduler.search.trial import Trial


class AshaScheduler:
    """Promotes whenever a rung has a trial among its best share; else a new trial begins."""

    def __init__(self, config: Asha, goal: Goal, *, epochs: int) -> None:
        """``epochs``: of a whole run."""
        self._bracket = Halving(
            (*rungs(config.min_epochs, config.reduction, epochs), epochs), reduction=config.reduction, goal=goal
        )

    def begin(self, trial: int) -> int:
        """Train to the first rung."""
        del trial
        return self._bracket.rungs[0].epoch

    def report(self, trial: Trial) -> None:
        """Rank it."""
        self._bracket.report(trial)

    def leave(self, trial: int) -> None:
        """Forget it."""
        self._bracket.leave(trial)

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Promote what can be; at the end, one trial trains to its end in any case, and the others are dropped."""
        promoted = self._bracket.promote()
        return self._bracket.end() if promoted is None and last else promoted
