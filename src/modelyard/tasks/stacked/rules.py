"""How one kind of module of K members is done as one: a rule for every module type, and what the rules share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from modelyard.tasks.models.huggingface_classifier import HuggingFaceClassifier
from modelyard.tasks.stacked.products import aligned_empty

Layer = Callable[[Tensor], Tensor]
"""A stacked module. Features are [K, B, C], sequences [K, B, T, C]; images that went through a convolution are
[B, K * C, H, W].

Until the first layer with weights, features may be [1, B, ...]: the same for all members.
"""
Rule = Callable[[Sequence[Any], "Stacking"], Layer]
"""Builds the layer for the same module of every member."""
RuleT = TypeVar("RuleT", bound=Rule)

_RULES: dict[type[nn.Module], Rule] = {}


class ExplicitLayer(ABC):
    """A layer that can take its derivative itself: for a small model autograd's bookkeeping costs more than the sums.

    Called, it is a layer for autograd. ``forward`` and ``backward`` do the same without autograd.
    """

    trains = False
    """Whether it has parameters."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs of ``x``."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of ``x``, and remember what ``backward`` needs. Without gradients."""

    @abstractmethod
    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the parameters' gradients and forget what ``forward`` remembered; return the input's, if wanted."""


class Chain(ExplicitLayer):
    """Explicit layers, one after the other."""

    def __init__(self, layers: Sequence[ExplicitLayer]) -> None:
        self._layers = tuple(layers)
        trained = [number for number, layer in enumerate(layers) if layer.trains]
        self._first_trained = trained[0] if trained else len(self._layers)
        self.trains = bool(trained)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the last layer's outputs."""
        for layer in self._layers:
            x = layer(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer's outputs."""
        for layer in self._layers:
            x = layer.forward(x)
        return x

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Go through the layers from the last to the first that is needed."""
        last = 0 if to_input else self._first_trained
        for number in range(len(self._layers) - 1, last - 1, -1):
            below = self._layers[number].backward(gradient, to_input=to_input or number > last)
            if below is None:
                return None
            gradient = below
        return gradient


class StackedParameter:
    """One parameter of all members: ``value`` [K, ...] is a leaf, and the members' parameters are its slices."""

    def __init__(self, value: Tensor, members: Sequence[Tensor]) -> None:
        self.value = value
        self._members = tuple(members)
        self._memory: Tensor | None = None
        self._parts: tuple[Tensor, ...] = ()
        self._handed_out: Tensor | None = None

    def add_gradient(self, write: Callable[[Tensor], object]) -> None:
        """Add what ``write`` puts into memory of this shape."""
        if not self.value.requires_grad:
            return
        if self._memory is None:
            self._memory = torch.empty(self.value.shape, dtype=self.value.dtype, device=self.value.device)
            self._parts = self._memory.unbind(0)
        if self.value.grad is None:
            write(self._memory)
            self.value.grad = self._memory
        else:
            more = torch.empty_like(self._memory)
            write(more)
            self.value.grad.add_(more)

    def hand_out_gradient(self) -> None:
        """Make each member's gradient its slice of the stack's."""
        self._handed_out = gradient = self.value.grad
        if gradient is None:
            return
        parts = self._parts if gradient is self._memory else gradient.unbind(0)
        for member, part in zip(self._members, parts, strict=True):
            if member.grad is not part:
                member.grad = part

    @property
    def gradient_moved(self) -> bool:
        """Whether the gradient is not in the memory whose slices were handed out last."""
        return self.value.grad is not self._handed_out

    def release(self) -> None:
        """Give every member memory of its own."""
        _separate(self.value, self._members)
        for member in self._members:
            member.grad = None


class Stacking:
    """What the layers of one stack share: its size, its tensors, and the random streams of its members.

    A member's parameter or buffer becomes a view of its slice of the stack: whatever changes one changes the other.
    """

    def __init__(self, streams: Sequence[torch.Generator]) -> None:
        self.streams = tuple(streams)
        """One generator per member, on the stack's device; dropout draws from it what the member alone would draw."""
        self.parameters: list[StackedParameter] = []
        self.buffers: list[tuple[Tensor, tuple[Tensor, ...]]] = []
        self.draws = False
        """Whether a step draws random numbers from the streams."""
        self.convolved = False
        """Whether the features that the next layer gets went through a convolution."""

    @property
    def size(self) -> int:
        """The number of members, K."""
        return len(self.streams)

    def parameter(self, members: Sequence[Tensor], *, aligned: bool = False) -> StackedParameter:
        """Stack one parameter of every member, contiguous or with its slices ``aligned``."""
        first = members[0].detach()
        stacked = (
            aligned_empty(len(members), first.shape, first)
            if aligned
            else first.new_empty((len(members), *first.shape))
        )
        for member, part in zip(members, stacked.unbind(0), strict=True):
            member.data = part.copy_(member.detach())
        stacked.requires_grad_(members[0].requires_grad)
        parameter = StackedParameter(stacked, members)
        self.parameters.append(parameter)
        return parameter

    def buffer(self, members: Sequence[Tensor]) -> Tensor:
        """Stack one buffer of every member to [K, ...]."""
        stacked = torch.stack(list(members))
        for member, part in zip(members, stacked.unbind(0), strict=True):
            member.data = part
        self.buffers.append((stacked, tuple(members)))
        return stacked

    def release(self) -> None:
        """Give every member tensors of its own."""
        for parameter in self.parameters:
            parameter.release()
        for stacked, members in self.buffers:
            _separate(stacked, members)

    def each(self, x: Tensor) -> Tensor:
        """Return features [K, B, ...] of features that may be the same for all members."""
        return x.expand(self.size, *x.shape[1:])

    def layer(self, modules: Sequence[nn.Module]) -> Layer:
        """Stack the same module of every member. Raises ``LookupError`` for a type without a rule."""
        kind = type(modules[0])
        if kind not in _RULES:
            raise LookupError(f"no rule to stack {kind.__name__}")
        return _RULES[kind](modules, self)

    def explicit(self, modules: Sequence[nn.Module]) -> ExplicitLayer:
        """Stack the same module of every member, of a type whose rule makes explicit layers."""
        layer = self.layer(modules)
        assert isinstance(layer, ExplicitLayer)
        return layer

    def layers(self, modules: Sequence[Iterable[nn.Module]]) -> Layer:
        """Stack the modules of every member, one after the other."""
        layers = [self.layer(same) for same in zip(*modules, strict=True)]
        explicit = [layer for layer in layers if isinstance(layer, ExplicitLayer)]
        if len(explicit) == len(layers):
            return Chain(explicit)

        def run(x: Tensor) -> Tensor:
            for layer in layers:
                x = layer(x)
            return x

        return run


def rule(*kinds: type[nn.Module]) -> Callable[[RuleT], RuleT]:
    """Return a decorator for the rule of some module types; it applies to exactly these, not to their subclasses."""

    def decorate(function: RuleT) -> RuleT:
        for kind in kinds:
            assert kind not in _RULES, f"{kind.__name__} has a rule already"
            _RULES[kind] = function
        return function

    return decorate


def can_stack(model: nn.Module) -> bool:
    """Whether there is a rule for the model's type; the rules of containers ask for those of their parts."""
    if isinstance(model, HuggingFaceClassifier) and not model.head:
        return False
    return type(model) in _RULES and all(map(can_stack, _parts(model)))


def _parts(model: nn.Module) -> Iterable[nn.Module]:
    if isinstance(model, HuggingFaceClassifier):
        return model.head
    return model if isinstance(model, nn.Sequential) else ()


def _separate(stacked: Tensor, members: Sequence[Tensor]) -> None:
    for member, part in zip(members, stacked.detach().unbind(0), strict=True):
        member.data = part.clone()
