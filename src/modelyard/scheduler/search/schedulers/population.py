"""Population based training (Jaderberg et al., 2017, arXiv 1711.09846), in generations.

Every ``interval`` epochs all members are ranked; the worst end, and copies of the best take their places, with all of
their state and with values that are changed a little. A generation is over when nothing trains any more.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence

from modelyard.domain.config import SweepSpec
from modelyard.domain.schedulers import PopulationBased
from modelyard.domain.search import Dimension, Json
from modelyard.scheduler.search.conditions import holds, settle_order
from modelyard.scheduler.search.edit import read
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.paths import locate
from modelyard.scheduler.search.schedulers._base import Drop, Fork, GoOn, Verdict
from modelyard.scheduler.search.schedulers.halving import ordinal
from modelyard.scheduler.search.trial import Trial, TrialStatus
from modelyard.scheduler.search.values import draw, rounded, uniform

FACTORS = (0.8, 1.25)
"""What a number is multiplied by, unless it is drawn anew."""


class PopulationScheduler:
    """Ends and copies members between generations."""

    def __init__(self, config: PopulationBased, goal: Goal, sweep: SweepSpec) -> None:
        self._config = config
        self._goal = goal
        self._seed = sweep.search.seed
        self._space = sweep.search.space
        self._order = settle_order(self._space)
        self._waiting: dict[int, Trial] = {}
        self._failed = 0
        self._forks = 0
        self._verdicts: deque[Verdict] = deque()

    def begin(self, trial: int) -> int:
        """Train for a generation."""
        del trial
        return self._config.interval

    def report(self, trial: Trial) -> None:
        """Take a member that is at the end of the generation, or failed in it."""
        if trial.status is TrialStatus.WAITING:
            self._waiting[trial.number] = trial
        elif trial.status is TrialStatus.FAILED:
            self._failed += 1

    def leave(self, trial: int) -> None:
        """Forget a member, and whatever was to be done with it."""
        self._waiting.pop(trial, None)
        gone = deque(
            one for one in self._verdicts if trial not in {getattr(one, "trial", 0), getattr(one, "parent", 0)}
        )
        self._verdicts = gone

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Return what follows from the last ranking; once all of that is done, rank again."""
        if not self._verdicts and last and self._waiting:
            ranked = sorted(self._waiting.values(), key=lambda trial: (trial.loss, trial.number))
            self._verdicts.extend(self._generation(ranked))
            self._waiting, self._failed = {}, 0
        return self._verdicts.popleft() if self._verdicts else None

    def _generation(self, ranked: Sequence[Trial]) -> Iterator[Verdict]:
        """Yield what becomes of each member. Copies come before their parents go on: they need their checkpoints."""
        count = len(ranked) + self._failed
        share = min(max(1, int(count * self._config.quantile)), count // 2)
        sound = [trial for trial in ranked if trial.loss < WORST]
        best = sound[: max(1, share)]
        worst = ranked[len(ranked) - max(0, share - self._failed) :] if sound else list(ranked)
        worst = [trial for trial in worst if trial not in best]
        for place, trial in enumerate(ranked, start=1):
            if trial in worst:
                reason = f"stopped at epoch {trial.epoch}: {self._standing(trial, place, count)} there"
                yield Drop(trial.number, f"{reason}, and the worst are replaced by copies of the best")
        if sound:
            for trial in worst:
                yield self._fork(best, f"in place of trial {trial.number}")
            for _ in range(self._failed):
                yield self._fork(best, "in place of one that failed")
        for place, trial in enumerate(ranked, start=1):
            if trial not in worst:
                until = self._until(trial)
                standing = self._standing(trial, place, count)
                yield GoOn(trial.number, until, f"goes on to epoch {until}: {standing} at epoch {trial.epoch}")

    def _standing(self, trial: Trial, place: int, count: int) -> str:
        known = trial.loss < WORST
        result = self._goal.shown(trial.loss) if known else f"{self._goal.absence(trial.newest)}, which"
        return f"{result} is {ordinal(place)} of {count}"

    def _fork(self, best: Sequence[Trial], instead: str) -> Fork:
        self._forks += 1
        parent = best[int(self._chance("parent") * len(best))]
        changes = dict(self._explore(parent))
        data = parent.spec.model_dump(mode="json")
        told = ", ".join(f"{path} {value} (was {read(data, path)})" for path, value in changes.items())
        standing = f"trial {parent.number} at epoch {parent.epoch} ({self._goal.shown(parent.loss)})"
        reason = f"goes on from {standing} {instead}, with {told or 'the same values'}"
        return Fork(parent.number, self._until(parent), reason, changes)

    def _explore(self, parent: Trial) -> Iterator[tuple[str, Json]]:
        """Yield the values that a copy of ``parent`` changes."""
        data = parent.spec.model_dump(mode="json")
        for path in self._order:
            dimension = self._space[path]
            if not holds(dimension.when, data):
                continue
            whole = locate(path).takes_only_whole_numbers
            if self._chance(f"resample\0{path}") < self._config.resample:
                value = draw(dimension, seed=self._seed, path=f"pbt\0{path}", sample=self._forks, whole=whole)
            elif dimension.choice is not None:
                continue
            else:
                factor = FACTORS[int(self._chance(f"factor\0{path}") * len(FACTORS))]
                value = _scaled(dimension, read(data, path), factor, whole=whole or dimension.int is not None)
            if value != read(data, path):
                yield path, value

    def _until(self, trial: Trial) -> int:
        return min(trial.epoch + self._config.interval, trial.most)

    def _chance(self, what: str) -> float:
        return uniform(f"{self._seed}\0pbt\0{self._forks}\0{what}")


def _scaled(dimension: Dimension, value: float, factor: float, *, whole: bool) -> float:
    """Return a value times ``factor``, within the range of its dimension."""
    assert dimension.bounds is not None
    low, high = dimension.bounds
    if whole:
        moved = math.floor(value * factor) if factor < 1 else math.ceil(value * factor)
        return min(max(moved, math.ceil(low)), math.floor(high))
    return rounded(value * factor, low, high)
