"""K models of one structure as one model."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from modelyard.tasks.stacked.rules import ExplicitLayer, Stacking


class StackedModel:
    """Trains K models at once: one kernel per layer, whatever K is.

    While it exists, the members' parameters and buffers are views of it, so each member stays a whole model: its own
    optimizer may step it, it may be evaluated or saved, or train a step alone. ``release`` makes them independent.
    """

    def __init__(self, members: Sequence[nn.Module], streams: Sequence[torch.Generator]) -> None:
        """Raises ``LookupError`` if a module has no rule. ``streams`` are the members' random generators."""
        self._stacking = Stacking(streams)
        self._layer = self._stacking.layer(members)
        self._outputs: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [K, B, ...] for inputs [K, B, ...], or [1, B, ...] for all alike, in training mode.

        The outputs have no graph: the way back is ``backward``.
        """
        self._outputs = None
        if isinstance(self._layer, ExplicitLayer) and not torch.is_autocast_enabled(inputs.device.type):
            with torch.no_grad():
                return self._layer.forward(inputs)
        self._outputs = self._layer(inputs)
        return self._outputs.detach()

    def backward(self, gradient: Tensor) -> None:
        """Add to all gradients, given that of the outputs of the last ``forward``."""
        if self._outputs is not None:
            outputs, self._outputs = self._outputs, None
            outputs.backward(gradient)  # type: ignore[no-untyped-call]
        elif isinstance(self._layer, ExplicitLayer):
            with torch.no_grad():
                self._layer.backward(gradient, to_input=False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self._stacking.parameters:
            parameter.value.grad = None

    def hand_out_gradients(self) -> None:
        """Make each member's gradients its slices of the stack's."""
        for parameter in self._stacking.parameters:
            parameter.hand_out_gradient()

    @property
    def gradients_moved(self) -> bool:
        """Whether a gradient is not where it was when they were handed out last: autograd makes new ones each time."""
        return any(parameter.gradient_moved for parameter in self._stacking.parameters)

    def remember(self) -> "Memory":
        """Return what a forward pass changes, to go back to if it fails."""
        return Memory(self._stacking)

    def release(self) -> None:
        """Give every member tensors of its own."""
        self._stacking.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Memory:
    """Random streams and buffers at one moment."""

    def __init__(self, stacking: Stacking) -> None:
        self._streams = [(stream, stream.get_state()) for stream in stacking.streams] if stacking.draws else []
        self._buffers = [(buffer, buffer.clone()) for buffer, _ in stacking.buffers]

    def restore(self) -> None:
        """Go back to it."""
        for stream, state in self._streams:
            stream.set_state(state)
        for buffer, value in self._buffers:
            buffer.copy_(value)
