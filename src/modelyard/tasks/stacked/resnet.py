"""Rules for the parts of our residual network."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from modelyard.tasks.models.resnet import BasicBlock, GlobalMean
from modelyard.tasks.stacked.rules import Layer, Stacking, rule


@rule(BasicBlock)
def _basic_block(blocks: Sequence[BasicBlock], stacking: Stacking) -> Layer:
    conv1 = stacking.layer([block.conv1 for block in blocks])
    norm1 = stacking.layer([block.norm1 for block in blocks])
    conv2 = stacking.layer([block.conv2 for block in blocks])
    norm2 = stacking.layer([block.norm2 for block in blocks])
    shortcut = stacking.layer([block.shortcut for block in blocks])

    def run(x: Tensor) -> Tensor:  # [B, K * before, H, W] -> [B, K * after, H / stride, W / stride]
        hidden = functional.relu(norm1(conv1(x)))
        return functional.relu(norm2(conv2(hidden)) + shortcut(x))

    return run


@rule(GlobalMean)
def _global_mean(_: Sequence[GlobalMean], stacking: Stacking) -> Layer:
    def run(x: Tensor) -> Tensor:  # [B, K * C, H, W] -> [K, B, C]
        return x.mean(dim=(2, 3)).view(len(x), stacking.size, -1).transpose(0, 1)

    return run
