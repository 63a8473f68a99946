"""A residual network of basic blocks (He et al., 2016) with a 3x3 stem, as the paper has it for CIFAR."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import ResNet
from modelyard.tasks.models.registry import MODELS


@MODELS.register(ResNet)
def build(config: ResNet, *, image_size: int, channels: int, classes: Sequence[str]) -> nn.Module:
    """Build stem, stages and head. Raises ``ConfigError`` for more halvings than the image has."""
    deepest = max(image_size - 1, 1).bit_length() + 1
    if len(config.channels) > deepest:
        raise ConfigError(
            f"model.channels: {len(config.channels)} stages halve {image_size} x {image_size} pixels more often than "
            f"they can be; use at most {deepest} stages, or a larger data.image_size"
        )
    width = config.channels[0]
    layers: list[nn.Module] = [_convolution(channels, width), nn.BatchNorm2d(width), nn.ReLU()]
    for stage, (size, blocks) in enumerate(zip(config.channels, config.blocks, strict=True)):
        for block in range(blocks):
            layers.append(BasicBlock(width, size, stride=2 if stage and not block else 1))
            width = size
    layers.append(GlobalMean())
    layers.append(nn.Dropout(config.dropout))
    return nn.Sequential(*layers, nn.Linear(width, len(classes)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(before, after, stride=stride)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(_convolution(before, after, size=1, stride=stride), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """[B, before, H, W] -> [B, after, H / stride, W / stride]."""
        hidden = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))


class GlobalMean(nn.Module):
    """[B, C, H, W] -> [B, C]. Adaptive pooling would have no deterministic gradient on CUDA."""

    def forward(self, x: Tensor) -> Tensor:
        """Average over height and width."""
        return x.mean(dim=(2, 3))


def _convolution(before: int, after: int, *, size: int = 3, stride: int = 1) -> nn.Conv2d:
    convolution = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
