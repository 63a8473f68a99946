"""How one kind of module of K members is done as one: a rule for every module type, and what the rules share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from modelyard.tasks.stacked.products import aligned_empty

Layer = Callable[[Tensor], Tensor]
"""A stacked module. Features are [K, B, ...]; images that went through a convolution are [B, K * C, H, W].

Until the first layer with weights, features may be [1, B, ...]: the same for all members.
"""
Rule = Callable[[Sequence[Any], "Stacking"], Layer]
"""Builds the layer for the same module of every member."""
RuleT = TypeVar("RuleT", bound=Rule)

_RULES: dict[type[nn.Module], Rule] = {}


class Stacking:
    """What the layers of one stack share: its size, its tensors, and the random streams of its members.

    A member's parameter or buffer becomes a view of its slice of the stack: whatever changes one changes the other.
    """

    def __init__(self, streams: Sequence[torch.Generator]) -> None:
        self.streams = tuple(streams)
        """One generator per member, on the stack's device; dropout draws from it what the member alone would draw."""
        self.parameters: list[tuple[Tensor, tuple[Tensor, ...]]] = []
        self.buffers: list[tuple[Tensor, tuple[Tensor, ...]]] = []
        self.draws = False
        """Whether a step draws random numbers from the streams."""

    @property
    def size(self) -> int:
        """The number of members, K."""
        return len(self.streams)

    def parameter(self, members: Sequence[Tensor], *, aligned: bool = False) -> Tensor:
        """Stack one parameter of every member to a leaf [K, ...], contiguous or with its slices ``aligned``."""
        first = members[0].detach()
        stacked = (
            aligned_empty(len(members), first.shape, first)
            if aligned
            else first.new_empty((len(members), *first.shape))
        )
        for member, part in zip(members, stacked.unbind(0), strict=True):
            member.data = part.copy_(member.detach())
        stacked.requires_grad_(members[0].requires_grad)
        self.parameters.append((stacked, tuple(members)))
        return stacked

    def buffer(self, members: Sequence[Tensor]) -> Tensor:
        """Stack one buffer of every member to [K, ...]."""
        stacked = torch.stack(list(members))
        for member, part in zip(members, stacked.unbind(0), strict=True):
            member.data = part
        self.buffers.append((stacked, tuple(members)))
        return stacked

    def each(self, x: Tensor) -> Tensor:
        """Return features [K, B, ...] of features that may be the same for all members."""
        return x.expand(self.size, *x.shape[1:])

    def layer(self, modules: Sequence[nn.Module]) -> Layer:
        """Stack the same module of every member. Raises ``LookupError`` for a type without a rule."""
        kind = type(modules[0])
        if kind not in _RULES:
            raise LookupError(f"no rule to stack {kind.__name__}")
        return _RULES[kind](modules, self)

    def layers(self, modules: Sequence[nn.Sequential]) -> Layer:
        """Stack the modules of every member's ``Sequential``, one after the other."""
        layers = [self.layer(same) for same in zip(*modules, strict=True)]

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
    return type(model) in _RULES and all(map(can_stack, model if isinstance(model, nn.Sequential) else ()))
