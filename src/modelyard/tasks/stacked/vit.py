"""Rules for our vision transformer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modelyard.tasks.models.vit import Block, VisionTransformer
from modelyard.tasks.stacked.attention import StackedAttention
from modelyard.tasks.stacked.features import StackedLinear
from modelyard.tasks.stacked.rules import Chain, ExplicitLayer, Stacking, rule


@rule(VisionTransformer)
class _StackedTransformer(ExplicitLayer):
    """Patches and a class token, through blocks, to the class token's logits."""

    trains = True

    def __init__(self, models: Sequence[VisionTransformer], stacking: Stacking) -> None:
        self._patches = _StackedPatches([model.patches for model in models], stacking)
        self._class_token = stacking.parameter([model.class_token for model in models])  # [K, 1, 1, width]
        self._positions = stacking.parameter([model.position_embeddings for model in models])  # [K, 1, tokens, width]
        self._blocks = Chain(
            [
                stacking.explicit([model.dropout for model in models]),
                *(_block(blocks, stacking) for blocks in zip(*(model.blocks for model in models), strict=True)),
            ]
        )
        self._head = Chain(
            [stacking.explicit([model.norm for model in models]), stacking.explicit([model.head for model in models])]
        )

    def __call__(self, pixels: Tensor) -> Tensor:  # [K, B, channels, S, S] -> [K, B, C]
        """Return the logits."""
        return self._head(self._blocks(self._tokens(self._patches(pixels)))[:, :, :1]).squeeze(2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self._head.forward(self._blocks.forward(self._tokens(self._patches.forward(x)))[:, :, :1]).squeeze(2)

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradients of all; that of the pixels is not known."""
        assert not to_input
        first = self._head.backward(gradient.unsqueeze(2), to_input=True)
        assert first is not None
        tokens = first.new_zeros(first.shape[0], first.shape[1], self._positions.value.shape[2], first.shape[3])
        tokens[:, :, :1] = first
        below = self._blocks.backward(tokens, to_input=True)
        assert below is not None
        self._positions.add_gradient(lambda memory: torch.sum(below, 1, keepdim=True, out=memory))
        self._class_token.add_gradient(lambda memory: torch.sum(below[:, :, :1], 1, keepdim=True, out=memory))
        return self._patches.backward(below[:, :, 1:], to_input=False)

    def _tokens(self, patches: Tensor) -> Tensor:  # [K, B, patches, width] -> [K, B, tokens, width]
        first = self._class_token.value.to(patches.dtype).expand(-1, patches.shape[1], -1, -1)
        return torch.cat([first, patches], dim=2) + self._positions.value


class _StackedPatches(ExplicitLayer):
    """A convolution whose windows touch but do not overlap: a linear layer of each window's pixels."""

    trains = True

    def __init__(self, modules: Sequence[nn.Conv2d], stacking: Stacking) -> None:
        self._side = modules[0].kernel_size[0]
        self._linear = StackedLinear(modules, stacking)

    def __call__(self, x: Tensor) -> Tensor:  # [K, B, channels, S, S] -> [K, B, patches, width]
        """Return the products."""
        return self._linear(self._windows(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the products."""
        return self._linear.forward(self._windows(x))

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradients of kernel and offset."""
        return self._linear.backward(gradient, to_input=to_input)

    def _windows(self, x: Tensor) -> Tensor:  # [K, B, channels, S, S] -> [K, B, patches, channels * side * side]
        size, batch, channels, height, width = x.shape
        side = self._side
        parts = x.view(size, batch, channels, height // side, side, width // side, side)
        return parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(size, batch, -1, channels * side * side)


def _block(blocks: Sequence[Block], stacking: Stacking) -> ExplicitLayer:
    part = stacking.explicit
    attention = [
        part([block.norm1 for block in blocks]),
        StackedAttention(blocks, stacking),
        part([block.dropout for block in blocks]),
    ]
    feed_forward = [
        part([block.norm2 for block in blocks]),
        part([block.expand for block in blocks]),
        part([nn.GELU() for _ in blocks]),
        part([block.dropout for block in blocks]),
        part([block.contract for block in blocks]),
        part([block.dropout for block in blocks]),
    ]
    return Chain([_Residual(Chain(attention)), _Residual(Chain(feed_forward))])


class _Residual(ExplicitLayer):
    """Adds its input to what an inner layer makes of it."""

    def __init__(self, inner: ExplicitLayer) -> None:
        self._inner = inner
        self.trains = inner.trains

    def __call__(self, x: Tensor) -> Tensor:
        return x + self._inner(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        return x + self._inner.forward(x)

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add the inner layer's gradient to that which goes past it."""
        below = self._inner.backward(gradient, to_input=to_input)
        return None if below is None else gradient + below
