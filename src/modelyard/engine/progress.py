"""Where a learner is, and what it does next. Both follow from the same few numbers, so that a resume cannot differ."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Unit(StrEnum):
    """One indivisible piece of work."""

    PREPARE = "prepare"
    TRAIN = "train"
    VALIDATE = "validate"
    TEST = "test"
    DONE = "done"


@dataclass
class Progress:
    """Position in the data plan and in the run."""

    epochs: int
    """Epochs to train in all; ``tune`` may change it."""
    evaluate_every: int
    has_validation: bool
    has_test: bool
    step: int = 0
    """Optimizer steps done."""
    epoch: int = 0
    """Whole epochs done."""
    step_in_epoch: int = 0
    validated_epochs: int = 0
    """Epochs that were done at the last validation."""
    stopped_early: bool = False
    tested: bool = False
    until_epoch: int | None = None
    """Where the run pauses by itself: a rung of its search. Not part of the state, since the search may raise it."""

    def next_unit(self) -> Unit:
        """Return what comes next."""
        if self._validation_due():
            return Unit.VALIDATE
        if self.at_rung:
            return Unit.DONE
        if not self.trained:
            return Unit.TRAIN
        if self.has_test and not self.tested:
            return Unit.TEST
        return Unit.DONE

    @property
    def where(self) -> tuple[int, int]:
        """The epoch and the step within it: what decides which batches come next."""
        return self.epoch, self.step_in_epoch

    def advance_step(self, steps_per_epoch: int) -> None:
        """Count one optimizer step."""
        self.step += 1
        self.step_in_epoch += 1
        if self.step_in_epoch == steps_per_epoch:
            self.epoch += 1
            self.step_in_epoch = 0

    def set_epochs(self, epochs: int) -> None:
        """Change how long the run is. If that leaves something to train, a run that was done or stopped goes on."""
        if epochs > self.epoch:
            self.stopped_early = False
            self.tested = False
        self.epochs = epochs

    def share(self, steps_per_epoch: int) -> float:
        """Return how much of the training is done, between 0 and 1."""
        return 1.0 if self.trained else min(1.0, self.step / (self.epochs * steps_per_epoch))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {name: value for name, value in asdict(self).items() if name != "until_epoch"}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` returned; whether there are validation and test data stays as it is."""
        for name in ("epochs", "step", "epoch", "step_in_epoch", "validated_epochs", "stopped_early", "tested"):
            setattr(self, name, state[name])

    @property
    def trained(self) -> bool:
        """Whether only evaluations are left."""
        return self.stopped_early or (self.step_in_epoch == 0 and self.epoch >= self.epochs)

    @property
    def at_rung(self) -> bool:
        """Whether the run is where it pauses for its search."""
        reached = self.until_epoch is not None and self.epoch >= self.until_epoch
        return reached and not self.step_in_epoch and not self.trained

    @property
    def validates_by_config(self) -> bool:
        """Whether the config asks for a validation after this epoch, search or not."""
        return self.epoch % self.evaluate_every == 0 or self.epoch >= self.epochs

    def _validation_due(self) -> bool:
        if not self.has_validation or self.step_in_epoch or self.epoch == self.validated_epochs:
            return False
        return self.validates_by_config or self.at_rung
