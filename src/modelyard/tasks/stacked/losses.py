"""The losses of K members at once, with the very bits that each member's own loss and its derivative have."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.tasks.losses import CrossEntropyLoss
from modelyard.tasks.stacked.graphs import with_way_back

Back = Callable[[Tensor], Tensor]
"""From a factor for each loss, [K], to the gradient of the outputs, [K, B, C]."""
Losses = Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Back]]
"""From outputs [K, B, C] without a graph and each member's targets to losses [K], and to the way back."""


def stack_losses(functions: Sequence[nn.Module]) -> Losses:
    """Return what computes every member's loss by its own function."""

    def each(outputs: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, Back]:
        def losses(outputs: Tensor) -> Tensor:
            triples = zip(functions, outputs.unbind(0), targets, strict=True)
            return torch.stack([function(output, target) for function, output, target in triples])

        values, back = with_way_back(losses, outputs)
        return values, lambda scales: back(scales)[0]

    if not all(isinstance(function, CrossEntropyLoss) and function.weights is None for function in functions):
        return each
    smoothing = [function.label_smoothing for function in functions if isinstance(function, CrossEntropyLoss)]

    def together(outputs: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, Back]:
        if any(target.is_floating_point() for target in targets):
            return each(outputs, targets)
        return _cross_entropies(outputs, targets, smoothing)

    return together


def _cross_entropies(outputs: Tensor, targets: Sequence[Tensor], smoothing: Sequence[float]) -> tuple[Tensor, Back]:
    """Return each member's mean cross entropy: logits [K, B, C] and class numbers [B] of each to [K]."""
    classes = _stacked(targets).unsqueeze(2)  # [K, B, 1]
    log_probabilities = functional.log_softmax(outputs.float(), dim=2)
    losses = log_probabilities.gather(2, classes).squeeze(2).neg_()  # [K, B]
    smooth = any(smoothing)
    if smooth:
        rest = log_probabilities.sum(2).neg_()
        losses = losses * _column(losses, [1 - one for one in smoothing]) + rest * _uniform(losses, outputs, smoothing)

    def back(scales: Tensor) -> Tensor:
        share = (scales / classes.shape[1]).unsqueeze(1)  # [K, 1]
        if smooth:
            slope = -(share * _uniform(share, outputs, smoothing)).unsqueeze(2).expand_as(log_probabilities)
            own = share * _column(share, [1 - one for one in smoothing])
            slope = slope.contiguous().scatter_add_(2, classes, -own.unsqueeze(2).expand(classes.shape))
        else:
            slope = torch.zeros_like(log_probabilities)
            slope.scatter_(2, classes, -share.unsqueeze(2).expand(classes.shape))
        gradient: Tensor = torch.ops.aten._log_softmax_backward_data(slope, log_probabilities, 2, slope.dtype)
        return gradient.to(outputs.dtype)

    return losses.mean(1), back


def _stacked(targets: Sequence[Tensor]) -> Tensor:
    """Return [K, B]; members often share the very same targets."""
    first = targets[0]
    if all(target is first for target in targets):
        return first.expand(len(targets), -1)
    return torch.stack(list(targets))


def _column(like: Tensor, values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)


def _uniform(like: Tensor, logits: Tensor, smoothing: Sequence[float]) -> Tensor:
    """Return the probability that smoothing gives to every class of each member, [K, 1]."""
    return _column(like, [one / logits.shape[2] for one in smoothing])
