"""Rules for the common layers. On the CPU most give the very bits that every member alone would get."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.tasks.stacked.products import linear
from modelyard.tasks.stacked.rules import Layer, Stacking, rule

_LANES = 16
"""Numbers in the CPU's widest vector."""
_VECTOR = 64
"""Numbers that its kernels take at once, in several vectors."""
IMAGES = 4
"""Dimensions of images that went through a convolution: [B, K * C, H, W]."""
VECTORS = 3
"""Dimensions of features without a sequence: [K, B, C]."""
STACKED_IMAGES = 5
"""Dimensions of the stack's input: [K, B, C, H, W]."""


@rule(nn.Sequential)
def _sequential(modules: Sequence[nn.Sequential], stacking: Stacking) -> Layer:
    return stacking.layers(modules)


@rule(nn.ReLU, nn.Identity, nn.MaxPool2d)
def _as_it_is(modules: Sequence[nn.Module], _: Stacking) -> Layer:
    """Layers without state that treat every member's numbers alike."""
    layer: Layer = modules[0]
    return layer


@rule(nn.GELU, nn.SiLU, nn.Tanh)
def _smooth(modules: Sequence[nn.Module], _: Stacking) -> Layer:
    """Smooth functions round otherwise in the last, incomplete vector: a member that ends in one is done by itself."""
    function: Layer = modules[0]

    def run(x: Tensor) -> Tensor:  # [K, ...]
        if x[0].numel() % _VECTOR == 0:
            return function(x)
        return torch.stack([function(part) for part in x.unbind(0)])

    return run


@rule(nn.Flatten)
def _flatten(_: Sequence[nn.Flatten], stacking: Stacking) -> Layer:
    def run(x: Tensor) -> Tensor:  # images -> [K, B, C * H * W]
        if x.dim() == STACKED_IMAGES:
            return x.flatten(2)
        return x.reshape(len(x), stacking.size, -1).transpose(0, 1)

    return run


@rule(nn.Linear)
def stack_linear(modules: Sequence[nn.Linear], stacking: Stacking) -> Layer:
    """One batched matrix product for all members."""
    weight = stacking.parameter([module.weight for module in modules], aligned=True)  # [K, out, in]
    bias = None
    if modules[0].bias is not None:
        bias = stacking.parameter([module.bias for module in modules])  # [K, out]

    def run(x: Tensor) -> Tensor:  # [K, B, ..., in] -> [K, B, ..., out]
        x, kernel, offset = _to_autocast(x, weight, bias)
        result = linear(stacking.each(x.flatten(1, -2)), kernel, offset)
        return result.view(stacking.size, *x.shape[1:-1], result.shape[-1])

    return run


@rule(nn.Conv2d)
def stack_convolution(modules: Sequence[nn.Conv2d], stacking: Stacking) -> Layer:
    """One grouped convolution for all members."""
    first, size = modules[0], stacking.size
    weight = stacking.parameter([module.weight for module in modules])  # [K, out, in / groups, h, w]
    bias = None
    if first.bias is not None:
        bias = stacking.parameter([module.bias for module in modules if module.bias is not None])  # [K, out]

    def run(x: Tensor) -> Tensor:  # images -> [B, K * out, H', W']
        groups = size * first.groups
        if x.dim() == STACKED_IMAGES and len(x) == 1 == first.groups:  # members are more channels of the output
            x, groups = x[0], 1
        elif x.dim() == STACKED_IMAGES:
            x = stacking.each(x).transpose(0, 1).flatten(1, 2)
        offset = None if bias is None else bias.flatten()
        if x.device.type == "cpu":
            x = _channels_last(x)
        return functional.conv2d(x, weight.flatten(0, 1), offset, first.stride, first.padding, first.dilation, groups)

    return run


@rule(nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(modules: Sequence[nn.BatchNorm1d | nn.BatchNorm2d], stacking: Stacking) -> Layer:
    """Statistics are per channel, so the members are more channels."""
    first, size = modules[0], stacking.size
    weight = stacking.parameter([module.weight for module in modules])
    bias = stacking.parameter([module.bias for module in modules])
    mean = stacking.buffer([_present(module.running_mean) for module in modules])
    variance = stacking.buffer([_present(module.running_var) for module in modules])
    count = stacking.buffer([_present(module.num_batches_tracked) for module in modules])
    state = (mean, variance, weight, bias)  # each [K, C]

    def normalise(x: Tensor, state: Sequence[Tensor]) -> Tensor:
        own_mean, own_variance, own_weight, own_bias = state
        momentum = first.momentum or 0.0
        return functional.batch_norm(x, own_mean, own_variance, own_weight, own_bias, True, momentum, first.eps)

    def together(x: Tensor) -> Tensor:  # [B, K * C, ...]
        return normalise(x, [tensor.view(-1) for tensor in state])

    def run(x: Tensor) -> Tensor:
        count.add_(1)
        if x.dim() == IMAGES:
            return together(x)
        if x.shape[-1] % _LANES:  # the last, incomplete vector of channels rounds otherwise
            members = zip(stacking.each(x).unbind(0), zip(*state, strict=True), strict=True)
            return torch.stack([normalise(one, own) for one, own in members])
        x = stacking.each(x)
        batch = x.shape[1]
        return together(x.transpose(0, 1).reshape(batch, -1)).view(batch, size, -1).transpose(0, 1).contiguous()

    return run


@rule(nn.LayerNorm)
def stack_layer_norm(modules: Sequence[nn.LayerNorm], stacking: Stacking) -> Layer:
    """Normalise all members at once, then scale and shift each by its own weights.

    Vectors are done member by member: only so are the sums of their gradients taken in the same order as alone.
    """
    first = modules[0]
    weight = stacking.parameter([module.weight for module in modules])
    bias = stacking.parameter([module.bias for module in modules])

    def run(x: Tensor) -> Tensor:  # [K, B, ..., C]
        x = stacking.each(x)
        if x.dim() == VECTORS:
            parts = zip(x.unbind(0), weight.unbind(0), bias.unbind(0), strict=True)
            return torch.stack(
                [functional.layer_norm(one, first.normalized_shape, w, b, first.eps) for one, w, b in parts]
            )
        shape = (stacking.size, *(1,) * (x.dim() - 2), -1)
        normal = functional.layer_norm(x, first.normalized_shape, None, None, first.eps)
        return torch.addcmul(bias.view(shape), normal, weight.view(shape))

    return run


@rule(nn.Dropout)
def stack_dropout(modules: Sequence[nn.Dropout], stacking: Stacking) -> Layer:
    """Drop what every member alone would drop."""
    return dropout([module.p for module in modules], stacking)


def dropout(rates: Sequence[float], stacking: Stacking) -> Layer:
    """Return a dropout with a rate per member on features [K, B, ...]; masks come from the members' streams."""
    if not any(rates):
        return lambda x: x
    stacking.draws = True

    def run(x: Tensor) -> Tensor:
        x = stacking.each(x)
        noise = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        for part, rate, stream in zip(noise.unbind(0), rates, stacking.streams, strict=True):
            if rate:
                part.bernoulli_(1 - rate, generator=stream).div_(1 - rate)
            else:
                part.fill_(1)
        return x * noise

    return run


def _channels_last(x: Tensor) -> Tensor:
    """Lay images out pixel by pixel: with the many channels of a stack the CPU's kernels are twice as fast so."""
    if x.shape[1] == 1 and x.is_contiguous():  # lies so already, but is taken for such only by its strides
        return x.as_strided(x.shape, (x.stride(0), 1, x.stride(2), x.stride(3)))
    return x.contiguous(memory_format=torch.channels_last)


def _to_autocast(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Cast as autocast casts the inputs of a matrix product; it does not reach into our own function."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return x, weight, bias
    dtype = torch.get_autocast_dtype(kind)
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _present(buffer: Tensor | None) -> Tensor:
    assert buffer is not None, "our models track statistics"
    return buffer
