"""The losses of K members at once, with the very bits that each member's own loss and its derivative have."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.tasks.losses import CrossEntropyLoss

Losses = Callable[[Tensor, Sequence[Tensor]], Tensor]
"""From outputs [K, B, C] and each member's targets to losses [K]."""


def stack_losses(functions: Sequence[nn.Module]) -> Losses:
    """Return what computes every member's loss by its own function."""

    def each(outputs: Tensor, targets: Sequence[Tensor]) -> Tensor:
        triples = zip(functions, outputs.unbind(0), targets, strict=True)
        return torch.stack([function(output, target) for function, output, target in triples])

    if not all(isinstance(function, CrossEntropyLoss) and function.weights is None for function in functions):
        return each
    smoothing = [function.label_smoothing for function in functions if isinstance(function, CrossEntropyLoss)]

    def together(outputs: Tensor, targets: Sequence[Tensor]) -> Tensor:
        if any(target.is_floating_point() for target in targets):
            return each(outputs, targets)
        losses: Tensor = _CrossEntropy.apply(outputs.float(), torch.stack(list(targets)), smoothing)  # type: ignore[no-untyped-call]
        return losses

    return together


class _CrossEntropy(torch.autograd.Function):
    """Each member's mean cross entropy: logits [K, B, C] and class numbers [K, B] to [K]."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: Sequence[float]) -> Tensor:
        log_probabilities = functional.log_softmax(logits, dim=2)
        ctx.save_for_backward(log_probabilities, targets)
        ctx.smoothing = smoothing
        # One by one, for the order of the sum.
        pairs = zip(log_probabilities.unbind(0), targets.unbind(0), strict=True)
        losses = torch.stack([functional.nll_loss(one, target) for one, target in pairs])
        if not any(smoothing):
            return losses
        rest = -log_probabilities.sum(2).mean(1)
        return losses * _row(losses, [1 - one for one in smoothing]) + rest * _uniform(losses, logits, smoothing)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        log_probabilities, targets = ctx.saved_tensors
        samples, shape = targets.shape[1], (-1, 1, 1)
        share = -gradients[0]  # [K]
        if any(ctx.smoothing):
            rest = share * _uniform(share, log_probabilities, ctx.smoothing) / samples
            share = share * _row(share, [1 - one for one in ctx.smoothing])
            slope = rest.view(shape).expand_as(log_probabilities).contiguous()
        else:
            slope = torch.zeros_like(log_probabilities)
        slope.scatter_add_(2, targets.unsqueeze(2), (share / samples).view(shape).expand(*targets.shape, 1))
        return torch.ops.aten._log_softmax_backward_data(slope, log_probabilities, 2, slope.dtype), None, None


def _row(like: Tensor, values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _uniform(like: Tensor, logits: Tensor, smoothing: Sequence[float]) -> Tensor:
    """Return the probability that smoothing gives to every class of each member, [K]."""
    return _row(like, [one / logits.shape[2] for one in smoothing])
