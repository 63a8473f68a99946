"""The rule for self-attention: every member's own queries, keys and values, mixed in one batch."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.tasks.stacked.features import StackedDropout, StackedLinear
from modelyard.tasks.stacked.graphs import WayBack, with_way_back
from modelyard.tasks.stacked.rules import ExplicitLayer, Stacking

_FEW_TOKENS = 32
"""Up to so many, the CPU takes the plain products of all members faster than its fused kernel."""
_ATEN = torch.ops.aten


class Attends(Protocol):
    """A module with self-attention, as our transformers have it."""

    heads: int
    attention_dropout: float
    queries_keys_values: nn.Linear
    projection: nn.Linear


class StackedAttention(ExplicitLayer):
    """Scaled dot-product self-attention (Vaswani et al., 2017) with several heads."""

    trains = True

    def __init__(self, modules: Sequence[Attends], stacking: Stacking) -> None:
        self._heads = modules[0].heads
        self._queries_keys_values = StackedLinear([module.queries_keys_values for module in modules], stacking)
        self._projection = StackedLinear([module.projection for module in modules], stacking)
        self._drops = any(module.attention_dropout for module in modules)
        self._plain = _PlainMixer(StackedDropout([module.attention_dropout for module in modules], stacking), stacking)
        self._fused = _FusedMixer()
        self._mixer: _PlainMixer | _FusedMixer = self._fused

    def __call__(self, x: Tensor) -> Tensor:  # [K, B, tokens, width]
        """Return the mixed tokens."""
        parts = self._split(self._queries_keys_values(x))
        mixed = self._plain(parts) if self._drops else self._fused(parts)
        return self._projection(self._join(mixed, x.shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed tokens."""
        parts = self._split(self._queries_keys_values.forward(x))
        few = x.device.type == "cpu" and x.shape[2] <= _FEW_TOKENS
        self._mixer = self._plain if self._drops or few else self._fused
        return self._projection.forward(self._join(self._mixer.forward(parts), x.shape))

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradients of both linear layers."""
        below = self._projection.backward(gradient, to_input=True)
        assert below is not None
        size, batch, count, width = below.shape
        mixed = below.view(size * batch, count, self._heads, width // self._heads).transpose(1, 2)
        parts = self._mixer.backward(mixed)  # [3, K * B, heads, tokens, width / heads]
        flat = parts.permute(1, 3, 0, 2, 4).reshape(size, batch, count, 3 * width)
        return self._queries_keys_values.backward(flat, to_input=to_input)

    def _split(self, x: Tensor) -> Tensor:  # [K, B, tokens, 3 * width] -> [3, K * B, heads, tokens, width / heads]
        size, batch, count, width = x.shape
        parts = x.view(size * batch, count, 3, self._heads, width // 3 // self._heads)
        return parts.permute(2, 0, 3, 1, 4)

    def _join(self, x: Tensor, shape: torch.Size) -> Tensor:
        return x.transpose(1, 2).reshape(shape)


class _PlainMixer:
    """Products, softmax, dropout, products: torch computes it in these steps, too, where it drops weights.

    There it draws one mask for all from the global stream; here each member draws its own.
    """

    def __init__(self, drop: StackedDropout, stacking: Stacking) -> None:
        self._drop = drop
        self._size = stacking.size
        self._remembered: tuple[Tensor, ...] = ()

    def __call__(self, parts: Tensor) -> Tensor:
        """Mix, for autograd: [3, K * B, heads, tokens, D] -> [K * B, heads, tokens, D]."""
        queries, keys, values = parts.unbind(0)
        scale = queries.shape[-1] ** -0.25
        weights = torch.softmax((queries * scale) @ (keys * scale).transpose(-2, -1), dim=-1)
        return self._drop(self._by_member(weights)).view(weights.shape) @ values

    def forward(self, parts: Tensor) -> Tensor:
        """Mix, and remember what ``backward`` needs."""
        queries, keys, values = parts.flatten(1, 2).unbind(0)  # each [K * B * heads, tokens, D]
        weights = torch.softmax(torch.bmm(queries, keys.transpose(1, 2)).mul_(queries.shape[-1] ** -0.5), dim=-1)
        dropped = self._drop.forward(self._by_member(weights)).view(weights.shape)
        self._remembered = (queries, keys, values, weights, dropped)
        return torch.bmm(dropped, values).view(parts.shape[1:])

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the parts, given that of what ``forward`` returned."""
        queries, keys, values, weights, dropped = self._remembered
        self._remembered = ()
        own = gradient.reshape(queries.shape)
        for_dropped = self._by_member(torch.bmm(own, values.transpose(1, 2)))
        for_weights = self._drop.backward(for_dropped, to_input=True)
        assert for_weights is not None
        for_products = _ATEN._softmax_backward_data(for_weights.view(weights.shape), weights, -1, weights.dtype)
        for_products.mul_(queries.shape[-1] ** -0.5)
        parts = queries.new_empty(3, *queries.shape)
        torch.bmm(for_products, keys, out=parts[0])
        torch.bmm(for_products.transpose(1, 2), queries, out=parts[1])
        torch.bmm(dropped.transpose(1, 2), own, out=parts[2])
        return parts.view(3, *gradient.shape)

    def _by_member(self, weights: Tensor) -> Tensor:
        return weights.view(self._size, -1, *weights.shape[1:])


class _FusedMixer:
    """Torch's fused kernel for the device. Weights of many tokens are never held."""

    def __init__(self) -> None:
        self._back: WayBack | None = None

    def __call__(self, parts: Tensor) -> Tensor:
        """Mix, for autograd: [3, K * B, heads, tokens, D] -> [K * B, heads, tokens, D]."""
        queries, keys, values = parts.unbind(0)
        return functional.scaled_dot_product_attention(queries, keys, values)

    def forward(self, parts: Tensor) -> Tensor:
        """Mix, and remember what ``backward`` needs."""
        mixed, self._back = with_way_back(functional.scaled_dot_product_attention, *parts.unbind(0))
        return mixed

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the parts, given that of what ``forward`` returned."""
        back, self._back = self._back, None
        assert back is not None
        return torch.stack(back(gradient))
