"""What was measured in training since the last logged point."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from modelyard.domain.errors import NonFiniteLossError


@dataclass
class Window:
    """Training values since the last logged point. On the device until ``flush``, so that a step never waits."""

    losses: list[float]
    norms: list[float]

    def __post_init__(self) -> None:
        self._pending_losses: list[Tensor] = []
        self._pending_norms: list[Tensor] = []

    def add(self, loss: Tensor, norm: Tensor | None) -> None:
        """Take the loss (scalar) and the gradient norm (scalar) of one optimizer step."""
        self._pending_losses.append(loss)
        if norm is not None:
            self._pending_norms.append(norm)

    def add_all(self, losses: Tensor) -> None:
        """Take the losses, [steps], of several optimizer steps."""
        self._pending_losses.append(losses)

    def flush(self, step: int) -> None:
        """Bring the values to the host. Raises ``NonFiniteLossError`` with the first bad step; ``step`` is the last."""
        if not self._pending_losses:
            return
        values: list[float] = torch.hstack(self._pending_losses).tolist()
        first = step - len(values) + 1
        self._pending_losses.clear()
        for offset, value in enumerate(values):
            if not math.isfinite(value):
                raise NonFiniteLossError(
                    first + offset,
                    f"the loss became {value} at step {first + offset}; lower optimizer.learning_rate, "
                    "set training.clip_norm, or use training.precision fp32",
                )
        self.losses.extend(values)
        if self._pending_norms:
            self.norms.extend(torch.stack(self._pending_norms).tolist())
            self._pending_norms.clear()

    def take(self) -> tuple[float, float | None]:
        """Return the mean loss and gradient norm, and start the next window. Call ``flush`` first."""
        loss = math.fsum(self.losses) / len(self.losses)
        # A step that the fp16 scaler skipped has no finite norm, and changed nothing.
        finite = [norm for norm in self.norms if math.isfinite(norm)]
        norm = math.fsum(finite) / len(finite) if finite else None
        self.losses, self.norms = [], []
        return loss, norm
