"""Rules for the parts of our residual network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from modelyard.tasks.models.resnet import BasicBlock, GlobalMean
from modelyard.tasks.stacked.rules import Chain, ExplicitLayer, Layer, Stacking, rule


@rule(BasicBlock)
class _BasicBlock(ExplicitLayer):
    """Two convolutions beside a shortcut: [B, K * before, H, W] -> [B, K * after, H / stride, W / stride]."""

    trains = True

    def __init__(self, blocks: Sequence[BasicBlock], stacking: Stacking) -> None:
        first = _explicit(
            stacking.layer([block.conv1 for block in blocks]), stacking.layer([block.norm1 for block in blocks])
        )
        second = _explicit(
            stacking.layer([block.conv2 for block in blocks]), stacking.layer([block.norm2 for block in blocks])
        )
        self._first, self._second = first, second
        self._shortcut = _explicit(stacking.layer([block.shortcut for block in blocks]))
        self._remembered: tuple[Tensor, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return torch.relu(self._second(torch.relu(self._first(x))) + self._shortcut(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        hidden = torch.relu(self._first.forward(x))
        result = torch.relu(self._second.forward(hidden) + self._shortcut.forward(x))
        self._remembered = (hidden, result)
        return result

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Go back both ways."""
        assert self._remembered is not None
        hidden, result = self._remembered
        self._remembered = None
        gradient = torch.ops.aten.threshold_backward(gradient, result, 0)
        inner = self._second.backward(gradient, to_input=True)
        below = self._first.backward(torch.ops.aten.threshold_backward(inner, hidden, 0), to_input=to_input)
        beside = self._shortcut.backward(gradient, to_input=to_input)
        return None if below is None or beside is None else below + beside


@rule(GlobalMean)
class _GlobalMean(ExplicitLayer):
    """[B, K * C, H, W] -> [K, B, C]."""

    def __init__(self, _: Sequence[GlobalMean], stacking: Stacking) -> None:
        self._stacking = stacking
        self._shape: torch.Size | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)).view(len(x), self._stacking.size, -1).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Average over height and width."""
        self._shape = x.shape
        return self(x)

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Spread the gradient over the pixels."""
        shape, self._shape = self._shape, None
        assert shape is not None
        share = gradient.transpose(0, 1).reshape(shape[0], shape[1], 1, 1) / (shape[2] * shape[3])
        return share.expand(shape).contiguous(memory_format=torch.channels_last)


def _explicit(*layers: Layer) -> Chain:
    return Chain([layer for layer in layers if isinstance(layer, ExplicitLayer)])
