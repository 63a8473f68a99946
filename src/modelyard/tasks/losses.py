"""Loss functions: logits [B, C] and class numbers [B], or probabilities [B, C], to the mean loss over the samples.

All arithmetic is fp32, inside autocast too. Class weights weigh samples by their class, and the mean stays a plain one
over the samples: so accumulated micro-batches add up to the large batch, and soft targets (mixup) agree with hard ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.losses import (
    BinaryCrossEntropy,
    ClassWeights,
    CrossEntropy,
    Focal,
    Huber,
    LossConfig,
    MeanSquaredError,
)
from modelyard.tasks.registry import Registry
from modelyard.tasks.targets import probabilities

LOSSES: Registry[LossConfig, nn.Module] = Registry("loss")


def build_loss(config: LossConfig, *, class_counts: Sequence[int]) -> nn.Module:
    """Build ``forward(logits [B, C], targets) -> scalar``; targets are int64 [B] or float probabilities [B, C].

    ``class_counts`` are the training samples of each class. Raises ``ConfigError`` for class weights that do not fit.
    """
    return LOSSES.build(config, class_counts=class_counts)


class _Loss(nn.Module):
    """Holds the class weights, float [C], if there are any. Not part of a checkpoint: they follow from the data."""

    weights: Tensor | None

    def __init__(self, weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)

    def weigh(self, losses: Tensor, targets: Tensor) -> Tensor:
        """Return the mean of ``losses`` [B], each times the weight of its sample's class."""
        if self.weights is None:
            return losses.mean()
        weights = targets @ self.weights if targets.is_floating_point() else self.weights[targets]
        return (losses * weights).mean()


class CrossEntropyLoss(_Loss):
    """Cross entropy with smoothed labels, and a weight for every class if there are ``weights``."""

    def __init__(self, weights: Tensor | None, label_smoothing: float) -> None:
        super().__init__(weights)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss (scalar) of logits [B, C]."""
        losses = functional.cross_entropy(
            logits.float(), targets, label_smoothing=self.label_smoothing, reduction="none"
        )
        return self.weigh(losses, targets)


class _Focal(_Loss):
    def __init__(self, weights: Tensor | None, gamma: float) -> None:
        super().__init__(weights)
        self.gamma = gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_probabilities = logits.float().log_softmax(dim=1)
        if targets.is_floating_point():
            return self.weigh((targets * self._of(-log_probabilities)).sum(dim=1), targets)
        return self.weigh(self._of(functional.nll_loss(log_probabilities, targets, reduction="none")), targets)

    def _of(self, cross_entropy: Tensor) -> Tensor:
        # 1 - p without cancellation; kept above 0, where a power below 1 has no finite slope.
        missing = -torch.expm1(-cross_entropy)
        return missing.clamp_min(1e-7) ** self.gamma * cross_entropy


class _BinaryCrossEntropy(_Loss):
    def __init__(self, weights: Tensor | None, label_smoothing: float) -> None:
        super().__init__(weights)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        classes = logits.shape[1]
        wanted = probabilities(targets, classes)
        if self.label_smoothing:
            wanted = wanted * (1 - self.label_smoothing) + self.label_smoothing / classes
        losses = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
        return self.weigh(losses.mean(dim=1), targets)


class _MeanSquaredError(nn.Module):
    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return functional.mse_loss(logits.float().softmax(dim=1), probabilities(targets, logits.shape[1]))


class _Huber(nn.Module):
    def __init__(self, delta: float) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        wanted = probabilities(targets, logits.shape[1])
        return functional.huber_loss(logits.float().softmax(dim=1), wanted, delta=self.delta)


@LOSSES.register(CrossEntropy)
def _cross_entropy(config: CrossEntropy, *, class_counts: Sequence[int]) -> nn.Module:
    return CrossEntropyLoss(_class_weights(config.class_weights, class_counts), config.label_smoothing)


@LOSSES.register(Focal)
def _focal(config: Focal, *, class_counts: Sequence[int]) -> nn.Module:
    return _Focal(_class_weights(config.class_weights, class_counts), config.gamma)


@LOSSES.register(BinaryCrossEntropy)
def _binary_cross_entropy(config: BinaryCrossEntropy, *, class_counts: Sequence[int]) -> nn.Module:
    return _BinaryCrossEntropy(_class_weights(config.class_weights, class_counts), config.label_smoothing)


@LOSSES.register(MeanSquaredError)
def _mean_squared_error(_: MeanSquaredError, *, class_counts: Sequence[int]) -> nn.Module:
    del class_counts
    return _MeanSquaredError()


@LOSSES.register(Huber)
def _huber(config: Huber, *, class_counts: Sequence[int]) -> nn.Module:
    del class_counts
    return _Huber(config.delta)


def _class_weights(config: ClassWeights, counts: Sequence[int]) -> Tensor | None:
    """Return float [C]: as given, or n / (C * count) of each class."""
    if config is None:
        return None
    if config == "balanced":
        if 0 in counts:
            raise ConfigError(
                f"loss.class_weights: class number {list(counts).index(0)} has no training samples to balance; "
                "give one weight per class, or remove the class"
            )
        return torch.tensor([sum(counts) / (len(counts) * count) for count in counts], dtype=torch.float32)
    if len(config) != len(counts):
        raise ConfigError(
            f"loss.class_weights: {len(config)} weights for {len(counts)} classes; give {len(counts)}, or 'balanced'"
        )
    if not any(config):
        raise ConfigError("loss.class_weights: every weight is 0, so nothing would be learned; give one above 0")
    return torch.tensor(config, dtype=torch.float32)
