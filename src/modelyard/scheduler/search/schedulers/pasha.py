"""PASHA: ASHA with a last rung that grows while the ranking is not stable. Bohdal et al., 2023 (arXiv 2207.06940)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from modelyard.domain.schedulers import Pasha, rungs
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.schedulers._base import Verdict
from modelyard.scheduler.search.schedulers.halving import Halving, Rung, ordinal
from modelyard.scheduler.search.trial import Trial, TrialStatus

_ONE = "so that only the best one trains to its end"


class PashaScheduler:
    """Promotes as ASHA does, at first no further than to the second rung."""

    def __init__(self, config: Pasha, goal: Goal, *, epochs: int) -> None:
        """``epochs``: of a whole run."""
        levels = (*rungs(config.min_epochs, config.reduction, epochs), epochs)
        self._bracket = Halving(levels, reduction=config.reduction, goal=goal)
        self._bracket.highest = 1
        self._percentile = config.noise_percentile
        self._curves: dict[int, Mapping[int, float]] = {}
        self._opened: dict[int, str] = {}
        """Epoch of a rung to why trials may go there."""
        self._noise_at_top = 0.0

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
        if reached == self._bracket.highest and grows and (change := self._change()):
            self._bracket.highest += 1
            self._opened[self._bracket.rungs[self._bracket.highest].epoch] = change

    def leave(self, trial: int) -> None:
        """Forget it."""
        self._bracket.leave(trial)

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Promote what can be; at the end, one trial trains to its end, and the others are dropped."""
        promoted = self._bracket.promote()
        if promoted is not None and promoted.until in self._opened:
            opened = f"epoch {promoted.until} is open since {self._opened[promoted.until]}"
            return replace(promoted, reason=f"{promoted.reason}; {opened}")
        return self._bracket.end(self._why_no_further()) if promoted is None and last else promoted

    def _why_no_further(self) -> str:
        """Say why those that were good enough to go on beyond the last rung did not."""
        top, below = self._top
        if len(top.ranking) < 2:
            return f"too few came to epoch {top.epoch} to see the ranking change, {_ONE}"
        noise = f" (differences up to {self._noise_at_top:.4g} are noise)" if self._noise_at_top else ""
        same = f"the ranking of the {len(top.ranking)} at epoch {top.epoch} is that at epoch {below.epoch}"
        return f"{same}{noise}, {_ONE}"

    @property
    def _top(self) -> tuple[Rung, Rung]:
        """The last rung that is open, and the one before."""
        return self._bracket.rungs[self._bracket.highest], self._bracket.rungs[self._bracket.highest - 1]

    def _change(self) -> str:
        """Say how those at the last rung are ranked otherwise than at the rung before, beyond noise; nothing if not."""
        at_top, at_below = self._top
        top, below = at_top.ranking, at_below.ranking
        there = {trial for _, trial in top}
        lower = [(loss, trial) for loss, trial in below if trial in there]
        noise = self._noise_at_top = self._noise(sorted(there))
        before = {trial: loss for loss, trial in lower}
        # At each place of the new ranking there is a trial that was, before, as good as the one at that place.
        for place, ((_, trial), (loss, other)) in enumerate(zip(top, lower, strict=False), start=1):
            if trial != other and not (trial in before and abs(before[trial] - loss) <= noise):
                beyond = f", beyond noise of {noise:.4g}" if noise else ""
                return (
                    f"trial {trial} is {ordinal(place)} of {len(top)} at epoch {at_top.epoch}, "
                    f"where at epoch {at_below.epoch} trial {other} was{beyond}"
                )
        return ""

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
