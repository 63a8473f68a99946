"""One optimizer step, from its batches to what it was."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from modelyard.tasks.base import Batch


class StepDone(NamedTuple):
    """What an optimizer step was."""

    samples: int
    learning_rate: float
    logged: Mapping[str, float] = {}
    """What else was measured."""
    not_compiled: str = ""
    """Why it could not be done by compiled code, if it should have been; nor will the next ones."""


class Step:
    """An optimizer step that was begun: the mean loss over all of its micro-batches is to be minimised."""

    def __init__(self, micro_batches: list[Batch], learning_rate: float) -> None:
        self.micro_batches = micro_batches
        self.learning_rate = learning_rate
        self.samples = sum(map(len, micro_batches))
        self.shares = [len(batch) / self.samples for batch in micro_batches]
        """The share of each micro-batch in the mean over all samples."""
        self._losses: list[Tensor] = []

    def add_loss(self, loss: Tensor, number: int) -> None:
        """Take the mean loss (scalar, without a graph) of one micro-batch."""
        self._losses.append(loss if len(self.shares) == 1 else loss * self.shares[number])

    def forget_losses(self) -> None:
        """Begin with the first micro-batch again."""
        self._losses.clear()

    def loss(self) -> Tensor:
        """Return the mean loss (scalar) over all micro-batches."""
        return self._losses[0] if len(self._losses) == 1 else torch.stack(self._losses).sum()
