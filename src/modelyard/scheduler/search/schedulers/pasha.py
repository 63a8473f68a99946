"""PASHA: ASHA with a last rung that grows while the ranking is not stable. Bohdal et al., 2023 (arXiv 2207.06940)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from modelyard.domain.schedulers import Pasha, rungs
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.schedulers._base import Verdict
from modelyard.scheduler.search.schedulers.halving import Halving
from modelyard.scheduler.search.trial import Trial, TrialStatus

_STABLE = "the ranking no longer changed between the two last rungs, so that only the best one trains to its end"


class PashaScheduler:
    """Promotes as ASHA does, at first no further than to the second rung."""

    def __init__(self, config: Pasha, goal: Goal, *, epochs: int) -> None:
        """``epochs``: of a whole run."""
        levels = (*rungs(config.min_epochs, config.reduction, epochs), epochs)
        self._bracket = Halving(levels, reduction=config.reduction, goal=goal)
        self._bracket.highest = 1
        self._percentile = config.noise_percentile
        self._curves: dict[int, Mapping[int, float]] = {}

    def begin(self, trial: int) -> int:
        """Train to the first rung."""
        del trial
        return self._bracket.rungs[0].epoch

    def report(self, trial: Trial) -> None:
        """Rank it; if it came to the last rung and changed the ranking there, the next rung is opened."""
        if trial.status is not TrialStatus.LEFT:
            self._curves[trial.number] = trial.losses
        reached = self._bracket.report(trial)
        grows = self._bracket.highest < len(self._bracket.rungs) - 1
        if reached == self._bracket.highest and grows and not self._is_stable():
            self._bracket.highest += 1

    def leave(self, trial: int) -> None:
        """Forget it."""
        self._bracket.leave(trial)

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Promote what can be; at the end, one trial trains to its end, and the others are dropped."""
        promoted = self._bracket.promote()
        return self._bracket.end(_STABLE) if promoted is None and last else promoted

    def _is_stable(self) -> bool:
        """Whether those at the last rung are ranked as at the rung before, up to noise."""
        top = self._bracket.rungs[self._bracket.highest].ranking
        below = self._bracket.rungs[self._bracket.highest - 1].ranking
        there = {trial for _, trial in top}
        lower = [(loss, trial) for loss, trial in below if trial in there]
        noise = self._noise(sorted(there))
        before = {trial: loss for loss, trial in lower}
        # At each place of the new ranking there is a trial that was, before, as good as the one at that place.
        return all(
            trial == other or (trial in before and abs(before[trial] - loss) <= noise)
            for (_, trial), (loss, other) in zip(top, lower, strict=False)
        )

    def _noise(self, trials: Sequence[int]) -> float:
        """Return which difference of losses counts as noise: that of trials whose curves cross and cross back."""
        found = [
            abs(one[epochs[-1]] - other[epochs[-1]])
            for first, second in combinations(trials, 2)
            for one, other in [(self._curves[first], self._curves[second])]
            if (epochs := _common(one, other)) and _crosses_back(one, other, epochs)
        ]
        return float(np.percentile(found, self._percentile)) if found else 0.0


def _common(one: Mapping[int, float], other: Mapping[int, float]) -> list[int]:
    return sorted(epoch for epoch in one.keys() & other.keys() if one[epoch] < WORST and other[epoch] < WORST)


def _crosses_back(one: Mapping[int, float], other: Mapping[int, float], epochs: Sequence[int]) -> bool:
    """Whether one curve was above the other, then below, then above again, or the other way round."""
    return len(list(_turns(one, other, epochs))) >= 2


def _turns(one: Mapping[int, float], other: Mapping[int, float], epochs: Sequence[int]) -> Iterator[int]:
    """Yield the epochs at which the order of two curves turned."""
    above: bool | None = None
    for epoch in epochs:
        if one[epoch] == other[epoch]:
            continue
        if above is not None and above != (one[epoch] > other[epoch]):
            yield epoch
        above = one[epoch] > other[epoch]
