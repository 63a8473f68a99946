"""One run of a search, as the search knows it."""

from dataclasses import dataclass, field
from enum import StrEnum

from modelyard.domain.config import RunSpec
from modelyard.domain.sample_scores import Scores
from modelyard.scheduler.search.goal import WORST, Metrics


class TrialStatus(StrEnum):
    """Where a trial is."""

    TRAINING = "training"
    WAITING = "waiting"
    """At its epoch, for a decision."""
    COMPLETED = "completed"
    STOPPED = "stopped"
    """By the search."""
    FAILED = "failed"
    LEFT = "left"
    """Somebody stopped, deleted or resumed it: the search does nothing to it any more."""


@dataclass(kw_only=True)
class Trial:
    """A trial. Only the search changes it."""

    number: int
    """1, 2, ... in the order in which they began."""
    spec: RunSpec
    until: int
    """The epoch it trains to, or is at."""
    parent: int | None = None
    """The trial whose training it goes on with."""
    start: int = 0
    """The epoch at which it began: 0, or that of its parent."""
    epoch: int = 0
    """Whole epochs done."""
    status: TrialStatus = TrialStatus.TRAINING
    reason: str = ""
    """Why it trains, waits or ended."""
    metrics: dict[int, Metrics] = field(default_factory=dict)
    """Validation metrics by epoch, oldest first."""
    losses: dict[int, float] = field(default_factory=dict)
    """What is minimised, by epoch, oldest first."""

    scores: Scores | None = None
    """The score of each validation sample at ``epoch``, if they are kept."""

    @property
    def most(self) -> int:
        """Epochs of the whole run."""
        return self.spec.training.epochs

    @property
    def newest(self) -> Metrics:
        """The newest validation metrics."""
        return self.metrics[max(self.metrics)] if self.metrics else {}

    @property
    def loss(self) -> float:
        """The newest loss; ``WORST`` if it has none, or failed."""
        if self.status is TrialStatus.FAILED or not self.losses:
            return WORST
        return self.losses[max(self.losses)]

    @property
    def best_loss(self) -> float:
        """The best loss that it ever had; ``WORST`` if it has none."""
        return min(self.losses.values(), default=WORST)


@dataclass(frozen=True, order=True)
class Job:
    """A trial's turn on a logical worker: it trains from one epoch to another. In the order in which turns end."""

    ends: int
    """Logical time: epochs that the worker has trained by then."""
    trial: int
