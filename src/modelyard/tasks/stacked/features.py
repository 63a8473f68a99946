"""Rules for layers of features [K, B, ...]. On the CPU they give the very bits that every member alone would get."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.tasks.stacked.products import linear, products
from modelyard.tasks.stacked.rules import ExplicitLayer, Layer, StackedParameter, Stacking, rule

_VECTOR = 64
"""Numbers that the CPU's kernels take at once, in several vectors."""
VECTORS = 3
"""Dimensions of features without a sequence: [K, B, C]."""
_ATEN = torch.ops.aten


@rule(nn.Sequential)
def _sequential(modules: Sequence[nn.Sequential], stacking: Stacking) -> Layer:
    return stacking.layers(modules)


@rule(nn.Linear)
class StackedLinear(ExplicitLayer):
    """One batched matrix product for all members. A convolution's kernel counts as one row for each of its outputs."""

    trains = True

    def __init__(self, modules: Sequence[nn.Linear | nn.Conv2d], stacking: Stacking) -> None:
        self._stacking = stacking
        self._weight = stacking.parameter([module.weight for module in modules], aligned=True)  # [K, out, in ...]
        self._bias: StackedParameter | None = None
        if modules[0].bias is not None:
            self._bias = stacking.parameter([module.bias for module in modules if module.bias is not None])  # [K, out]
        self._kernel = self._weight.value.detach().flatten(2)
        self._offset = None if self._bias is None else self._bias.value.detach()
        self._inputs: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:  # [K, B, ..., in] -> [K, B, ..., out]
        """Return the products."""
        offset = None if self._bias is None else self._bias.value
        x, kernel, offset = _to_autocast(x, self._weight.value.flatten(2), offset)
        result = linear(self._stacking.each(x.flatten(1, -2)), kernel, offset)
        return result.view(self._stacking.size, *x.shape[1:-1], result.shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the products."""
        self._inputs = self._stacking.each(x.flatten(1, -2))
        result = products(self._inputs, self._kernel.transpose(1, 2), self._offset)
        return result if x.dim() == VECTORS else result.view(self._stacking.size, *x.shape[1:-1], result.shape[-1])

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Take the same products as ``nn.Linear``: no other order of sums."""
        x, self._inputs = self._inputs, None
        assert x is not None
        flat = gradient.flatten(1, -2).contiguous()  # sums are taken in the order of the memory
        self._weight.add_gradient(lambda memory: products(flat.transpose(1, 2), x, out=memory.flatten(2)))
        if self._bias is not None:
            self._bias.add_gradient(lambda memory: torch.sum(flat, 1, out=memory))
        if not to_input:
            return None
        below = products(flat, self._kernel)
        return below if gradient.dim() == VECTORS else below.view(*gradient.shape[:-1], below.shape[-1])


@rule(nn.Embedding)
class StackedEmbedding(ExplicitLayer):
    """One table of all members' rows, one after the other."""

    trains = True

    def __init__(self, modules: Sequence[nn.Embedding], stacking: Stacking) -> None:
        first = modules[0]
        self._rows, self._padding = first.num_embeddings, first.padding_idx
        self._stacking = stacking
        self._weight = stacking.parameter([module.weight for module in modules])  # [K, V, C]
        starts = torch.arange(stacking.size, device=first.weight.device) * self._rows
        self._starts = starts.view(-1, 1, 1)
        self._remembered: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:  # indices [K, B, T] -> [K, B, T, C]
        """Return the rows."""
        weight = self._weight.value
        if self._padding is not None:
            weight = weight.clone()  # the rows of the padding get no gradient
            weight[:, self._padding] = weight[:, self._padding].detach()
        return functional.embedding(self._places(x), weight.flatten(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows."""
        self._remembered = places = self._places(x)
        return functional.embedding(places, self._weight.value.flatten(0, 1))

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradient of the rows; indices have none."""
        places, self._remembered = self._remembered, None
        count = self._stacking.size * self._rows

        def write(memory: Tensor) -> None:
            whole = _ATEN.embedding_dense_backward(gradient.contiguous(), places, count, -1, False)
            memory.flatten(0, 1).copy_(whole)
            if self._padding is not None:
                memory[:, self._padding] = 0

        self._weight.add_gradient(write)
        return None

    def _places(self, x: Tensor) -> Tensor:
        outside = (x < 0) | (x >= self._rows)  # of a member's own rows: then outside all, not in those of another
        return torch.where(outside, self._stacking.size * self._rows, x + self._starts)


@rule(nn.ReLU)
class _ReLU(ExplicitLayer):
    """Treats every number alike."""

    def __init__(self, _: Sequence[nn.ReLU], __: Stacking) -> None:
        self._outputs: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return torch.relu(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the positive part."""
        self._outputs = torch.relu(x)
        return self._outputs

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Pass on what went through."""
        outputs, self._outputs = self._outputs, None
        result: Tensor = _ATEN.threshold_backward(gradient, outputs, 0)
        return result


@rule(nn.GELU, nn.SiLU, nn.Tanh)
class _Smooth(ExplicitLayer):
    """Smooth functions round otherwise in the last, incomplete vector: a member that ends in one is done by itself."""

    def __init__(self, modules: Sequence[nn.GELU | nn.SiLU | nn.Tanh], _: Stacking) -> None:
        self._function = modules[0]
        self._remembered: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return _each_if_odd(self._function, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the function's values."""
        result = self(x)
        self._remembered = result if isinstance(self._function, nn.Tanh) else x
        return result

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Multiply with the derivative."""
        remembered, self._remembered = self._remembered, None
        assert remembered is not None
        if isinstance(self._function, nn.Tanh):
            return _each_if_odd(_ATEN.tanh_backward, gradient, remembered)
        if isinstance(self._function, nn.SiLU):
            return _each_if_odd(_ATEN.silu_backward, gradient, remembered)
        approximate = self._function.approximate

        def derivative(own: Tensor, x: Tensor) -> Any:
            return _ATEN.gelu_backward(own, x, approximate=approximate)

        return _each_if_odd(derivative, gradient, remembered)


def _each_if_odd(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    if tensors[0][0].numel() % _VECTOR == 0:
        return function(*tensors)
    return torch.stack([function(*parts) for parts in zip(*(tensor.unbind(0) for tensor in tensors), strict=True)])


@rule(nn.Dropout)
def _dropout(modules: Sequence[nn.Dropout], stacking: Stacking) -> Layer:
    return StackedDropout([module.p for module in modules], stacking)


class StackedDropout(ExplicitLayer):
    """Drops, at a rate per member, what every member alone would drop: masks come from the members' streams."""

    def __init__(self, rates: Sequence[float], stacking: Stacking) -> None:
        self._rates = tuple(rates)
        self._stacking = stacking
        self._drops = any(rates)
        self._noise: Tensor | None = None
        stacking.draws = stacking.draws or self._drops

    def __call__(self, x: Tensor) -> Tensor:
        """Drop, and scale what stays."""
        if not self._drops:
            return x
        x = self._stacking.each(x)
        return x * self._draw(x)

    def forward(self, x: Tensor) -> Tensor:
        """Drop, and scale what stays."""
        if not self._drops:
            return x
        x = self._stacking.each(x)
        self._noise = self._draw(x)
        return x * self._noise

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Drop the same."""
        noise, self._noise = self._noise, None
        return gradient if noise is None else gradient * noise

    def _draw(self, x: Tensor) -> Tensor:
        noise = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        for part, rate, stream in zip(noise.unbind(0), self._rates, self._stacking.streams, strict=True):
            if rate:
                part.bernoulli_(1 - rate, generator=stream).div_(1 - rate)
            else:
                part.fill_(1)
        return noise


@rule(nn.LayerNorm)
class StackedLayerNorm(ExplicitLayer):
    """Normalises all members at once, then scales and shifts each by its own weights.

    Vectors are done member by member: only so are the sums of their gradients taken in the same order as alone.
    """

    trains = True

    def __init__(self, modules: Sequence[nn.LayerNorm], stacking: Stacking) -> None:
        self._shape, self._eps = list(modules[0].normalized_shape), modules[0].eps
        self._stacking = stacking
        self._weight = stacking.parameter([module.weight for module in modules])
        self._bias = stacking.parameter([module.bias for module in modules])
        self._remembered: list[tuple[Tensor, ...]] = []

    def __call__(self, x: Tensor) -> Tensor:  # [K, B, ..., C]
        """Return the normalised features."""
        x = self._stacking.each(x)
        weight, bias = self._weight.value, self._bias.value
        if x.dim() == VECTORS:
            parts = zip(x.unbind(0), weight.unbind(0), bias.unbind(0), strict=True)
            return torch.stack([functional.layer_norm(one, self._shape, w, b, self._eps) for one, w, b in parts])
        normal = functional.layer_norm(x, self._shape, None, None, self._eps)
        return torch.addcmul(self._along(bias, x), normal, self._along(weight, x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised features."""
        x = self._stacking.each(x)
        weight, bias = self._weight.value, self._bias.value
        if x.dim() == VECTORS:
            parts = list(zip(x.unbind(0), weight.unbind(0), bias.unbind(0), strict=True))
            results = [torch.native_layer_norm(one, self._shape, w, b, self._eps) for one, w, b in parts]
            self._remembered = [(*part, *rest) for part, (_, *rest) in zip(parts, results, strict=True)]
            return torch.stack([result[0] for result in results])
        normal, mean, scale = torch.native_layer_norm(x, self._shape, None, None, self._eps)
        self._remembered = [(x, normal, mean, scale)]
        return torch.addcmul(self._along(bias, x), normal, self._along(weight, x))

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradients of scale and shift."""
        remembered, self._remembered = self._remembered, []
        if gradient.dim() != VECTORS:
            return self._backward_together(gradient, *remembered[0], to_input=to_input)
        gradients = [
            _ATEN.native_layer_norm_backward(own, x, self._shape, mean, scale, w, b, [to_input, True, True])
            for own, (x, w, b, mean, scale) in zip(gradient.unbind(0), remembered, strict=True)
        ]
        below, weights, biases = zip(*gradients, strict=True)
        self._weight.add_gradient(lambda memory: torch.stack(weights, out=memory))
        self._bias.add_gradient(lambda memory: torch.stack(biases, out=memory))
        return torch.stack(below) if to_input else None

    def _backward_together(
        self, gradient: Tensor, x: Tensor, normal: Tensor, mean: Tensor, scale: Tensor, *, to_input: bool
    ) -> Tensor | None:
        rest = tuple(range(1, gradient.dim() - 1))
        self._weight.add_gradient(lambda memory: torch.sum(gradient * normal, rest, out=memory))
        self._bias.add_gradient(lambda memory: torch.sum(gradient, rest, out=memory))
        if not to_input:
            return None
        own = gradient * self._along(self._weight.value, x)
        below, _, _ = _ATEN.native_layer_norm_backward(
            own, x, self._shape, mean, scale, None, None, [True, False, False]
        )
        result: Tensor = below
        return result

    def _along(self, values: Tensor, x: Tensor) -> Tensor:
        return values.view(self._stacking.size, *(1,) * (x.dim() - 2), -1)


def _to_autocast(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Cast as autocast casts the inputs of a matrix product; it does not reach into our own function."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return x, weight, bias
    dtype = torch.get_autocast_dtype(kind)
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
