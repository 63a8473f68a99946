"""A step that is left to autograd among those that take their derivatives themselves."""

from collections.abc import Callable

import torch
from torch import Tensor

WayBack = Callable[[Tensor], tuple[Tensor, ...]]
"""From the gradient of a result to those of what it was made of."""


def with_way_back(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, WayBack]:
    """Return ``function(*inputs)`` without a graph, and the way back from there to ``inputs``; it can be taken once."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    with torch.enable_grad():
        result = function(*leaves)

    def back(gradient: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(result, leaves, gradient)

    return result.detach(), back
