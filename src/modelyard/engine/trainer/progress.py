"""Where a trainer is: its own loop decides what comes next."""

from dataclasses import dataclass
from typing import Any

from modelyard.engine.progress import Progress, Unit


@dataclass
class TrainerProgress(Progress):
    """Position in the trainer's loop; ``epochs`` and ``max_steps`` are the trainer's own."""

    max_steps: int = 0
    """Optimizer steps of the whole run, as long as it does not stop early."""
    ended: bool = False
    """Whether the trainer's loop is over."""
    evaluated: bool = False
    """Whether the trainer evaluated since the last unit, so that there are metrics to write down."""

    def next_unit(self) -> Unit:
        """Return what comes next."""
        if self.evaluated:
            return Unit.VALIDATE
        return Unit.DONE if self.trained else Unit.TRAIN

    def share(self, steps_per_epoch: int) -> float:
        """Return how much of the training is done, between 0 and 1."""
        del steps_per_epoch
        return 1.0 if self.trained else min(1.0, self.step / max(1, self.max_steps))

    def load(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` returned."""
        super().load(state)
        for name in ("max_steps", "ended", "evaluated"):
            setattr(self, name, state[name])

    @property
    def trained(self) -> bool:
        """Whether nothing is left to train."""
        return self.stopped_early or self.ended
