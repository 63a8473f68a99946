"""What every sampler does: proposes the config of the next trial."""

from typing import Protocol

from modelyard.domain.config import RunSpec
from modelyard.scheduler.search.trial import Trial


class Sampler(Protocol):
    """Proposes trials, one after the other. A function of its seed and of what it was told, in order."""

    def propose(self, trial: int) -> RunSpec | None:
        """Return the config of the trial with this number, or None if there are no more."""
        ...

    def observe(self, trial: Trial) -> None:
        """Take a trial that ended its turn."""
        ...
