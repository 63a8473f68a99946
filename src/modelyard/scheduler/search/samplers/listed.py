"""Trials that are known beforehand: a grid, random samples, or a list."""

from collections.abc import Sequence

from modelyard.domain.config import RunSpec
from modelyard.scheduler.search.trial import Trial


class ListedSampler:
    """Proposes given configs in their order."""

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self._left = iter(specs)

    def propose(self, trial: int) -> RunSpec | None:
        """Return the next one."""
        del trial
        return next(self._left, None)

    def observe(self, trial: Trial) -> None:
        """Learn nothing."""
