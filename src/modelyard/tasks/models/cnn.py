"""Blocks of 3x3 convolution, batch norm, ReLU and 2x2 max-pooling, then a hidden layer and the head."""

from collections.abc import Sequence

from torch import nn

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import Cnn
from modelyard.tasks.models.registry import MODELS


@MODELS.register(Cnn)
def build(config: Cnn, *, image_size: int, channels: int, classes: Sequence[str]) -> nn.Module:
    """Build the blocks in order. Raises ``ConfigError`` when the pooling would leave no pixel."""
    side = image_size // 2 ** len(config.channels)
    if side < 1:
        deepest = image_size.bit_length() - 1
        raise ConfigError(
            f"model.channels: {len(config.channels)} blocks halve {image_size} x {image_size} pixels away to nothing; "
            f"use at most {deepest} blocks, or a larger data.image_size"
        )
    layers: list[nn.Module] = []
    width = channels
    for size in config.channels:
        layers += [nn.Conv2d(width, size, 3, padding=1, bias=False), nn.BatchNorm2d(size), nn.ReLU(), nn.MaxPool2d(2)]
        width = size
    layers += [nn.Flatten(), nn.Linear(width * side**2, config.hidden_size), nn.ReLU()]
    layers.append(nn.Dropout(config.dropout))
    return nn.Sequential(*layers, nn.Linear(config.hidden_size, len(classes)))
