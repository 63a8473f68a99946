"""No scheduler: every trial trains to its end."""

from modelyard.scheduler.search.schedulers._base import Verdict
from modelyard.scheduler.search.trial import Trial

TO_THE_END = 1_000_000_000
"""Beyond the epochs of any run."""


class EveryRunScheduler:
    """Ends nothing early."""

    def begin(self, trial: int) -> int:
        """Train it to its end."""
        del trial
        return TO_THE_END

    def report(self, trial: Trial) -> None:
        """Do nothing."""

    def leave(self, trial: int) -> None:
        """Do nothing."""

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Decide nothing."""
        del last
        return None
