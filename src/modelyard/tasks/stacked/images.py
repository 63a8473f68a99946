"""Rules for layers of images. They go through convolutions as [B, K * C, H, W]: the members are more channels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.tasks.stacked.graphs import WayBack, with_way_back
from modelyard.tasks.stacked.rules import ExplicitLayer, StackedParameter, Stacking, rule

_LANES = 16
"""Numbers in the CPU's widest vector."""
IMAGES = 4
"""Dimensions of images that went through a convolution: [B, K * C, H, W]."""
STACKED_IMAGES = 5
"""Dimensions of the stack's input: [K, B, C, H, W]."""
_ATEN = torch.ops.aten


@rule(nn.Identity)
class _Identity(ExplicitLayer):
    """Does nothing."""

    def __init__(self, _: Sequence[nn.Module], __: Stacking) -> None:
        pass

    def __call__(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return x

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Return the gradient."""
        return gradient


@rule(nn.Flatten)
class _Flatten(ExplicitLayer):
    """Images, or sequences, to features [K, B, C * H * W]."""

    def __init__(self, _: Sequence[nn.Flatten], stacking: Stacking) -> None:
        self._stacking = stacking
        self._convolved, stacking.convolved = stacking.convolved, False
        self._shape: torch.Size | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if not self._convolved:
            return x.flatten(2)
        return x.reshape(len(x), self._stacking.size, -1).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        self._shape = x.shape
        return self(x)

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Return the gradient in the shape of what was flattened."""
        shape, self._shape = self._shape, None
        assert shape is not None
        if not self._convolved:
            return gradient.view(len(gradient), *shape[1:])
        return channels_last(gradient.transpose(0, 1).reshape(shape))


@rule(nn.MaxPool2d)
class _MaxPool(ExplicitLayer):
    """Treats every channel alike."""

    def __init__(self, modules: Sequence[nn.MaxPool2d], _: Stacking) -> None:
        self._module = modules[0]
        self._remembered: tuple[Tensor, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        result: Tensor = self._module(x)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest numbers."""
        result, places = _ATEN.max_pool2d_with_indices(x, *self._options())
        self._remembered = (x, places)
        largest: Tensor = result
        return largest

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Return the gradient where they were."""
        assert self._remembered is not None
        x, places = self._remembered
        self._remembered = None
        result: Tensor = _ATEN.max_pool2d_with_indices_backward(gradient, x, *self._options(), places)
        return result

    def _options(self) -> tuple[Any, ...]:
        module = self._module
        pairs = (_pair(one) for one in (module.kernel_size, module.stride, module.padding, module.dilation))
        return (*pairs, module.ceil_mode)


@rule(nn.AvgPool2d, nn.AdaptiveAvgPool2d)
class _AveragePool(ExplicitLayer):
    """Treats every channel alike; torch knows the way back."""

    def __init__(self, modules: Sequence[nn.AvgPool2d | nn.AdaptiveAvgPool2d], _: Stacking) -> None:
        self._module = modules[0]
        self._back: WayBack | None = None

    def __call__(self, x: Tensor) -> Tensor:
        result: Tensor = self._module(x)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages."""
        result, self._back = with_way_back(self._module, x)
        return result

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Share the gradient out."""
        back, self._back = self._back, None
        assert back is not None
        (below,) = back(gradient)
        return below


@rule(nn.Conv2d)
class StackedConvolution(ExplicitLayer):
    """One grouped convolution for all members."""

    trains = True

    def __init__(self, modules: Sequence[nn.Conv2d], stacking: Stacking) -> None:
        first = modules[0]
        self._options = (list(first.stride), [int(one) for one in first.padding], list(first.dilation))
        self._groups = first.groups
        self._stacking = stacking
        stacking.convolved = True
        self._weight = stacking.parameter([module.weight for module in modules])  # [K, out, in / groups, h, w]
        self._bias: StackedParameter | None = None
        if first.bias is not None:
            self._bias = stacking.parameter([module.bias for module in modules if module.bias is not None])  # [K, out]
        self._remembered: tuple[Tensor, int, torch.Size] | None = None

    def __call__(self, x: Tensor) -> Tensor:  # images -> [B, K * out, H', W']
        """Return the convolutions."""
        images, groups = self._images(x)
        return self._convolve(images, groups)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolutions."""
        images, groups = self._images(x)
        self._remembered = (images, groups, x.shape)
        return self._convolve(images, groups)

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradients of kernel and offset."""
        assert self._remembered is not None
        images, groups, shape = self._remembered
        self._remembered = None
        kernel = self._weight.value.flatten(0, 1)
        wanted = [to_input, self._weight.value.requires_grad, self._bias is not None]
        below, for_kernel, for_offset = _ATEN.convolution_backward(
            gradient, images, kernel, [len(kernel)], *self._options, False, [0, 0], groups, wanted
        )
        self._weight.add_gradient(lambda memory: memory.flatten(0, 1).copy_(for_kernel))
        if self._bias is not None:
            self._bias.add_gradient(lambda memory: memory.flatten().copy_(for_offset))
        return _as_input(below, shape, groups) if to_input else None

    def _images(self, x: Tensor) -> tuple[Tensor, int]:
        """Return the images as the convolution takes them, and its number of groups."""
        groups = self._stacking.size * self._groups
        if x.dim() == STACKED_IMAGES and len(x) == 1 == self._groups:  # members are more channels of the output
            x, groups = x[0], 1
        elif x.dim() == STACKED_IMAGES:
            x = self._stacking.each(x).transpose(0, 1).flatten(1, 2)
        return channels_last(x), groups

    def _convolve(self, images: Tensor, groups: int) -> Tensor:
        offset = None if self._bias is None else self._bias.value.flatten()
        return functional.conv2d(images, self._weight.value.flatten(0, 1), offset, *self._options, groups)


def _as_input(gradient: Tensor, shape: torch.Size, groups: int) -> Tensor:
    """Return the gradient of images in the shape in which they came."""
    if len(shape) != STACKED_IMAGES:
        return gradient
    if groups == 1:
        return gradient.unsqueeze(0)
    return gradient.view(shape[1], -1, *shape[2:]).transpose(0, 1)


@rule(nn.BatchNorm1d, nn.BatchNorm2d)
class StackedBatchNorm(ExplicitLayer):
    """Statistics are per channel, so the members are more channels."""

    trains = True

    def __init__(self, modules: Sequence[nn.BatchNorm1d | nn.BatchNorm2d], stacking: Stacking) -> None:
        first = modules[0]
        self._momentum, self._eps = first.momentum or 0.0, first.eps
        self._stacking = stacking
        self._weight = stacking.parameter([module.weight for module in modules])
        self._bias = stacking.parameter([module.bias for module in modules])
        mean = stacking.buffer([_present(module.running_mean) for module in modules])
        variance = stacking.buffer([_present(module.running_var) for module in modules])
        self._count = stacking.buffer([_present(module.num_batches_tracked) for module in modules])
        self._state = (self._weight.value, self._bias.value, mean, variance)  # each [K, C]
        self._back: Callable[..., Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the normalised channels."""
        return self._run(x)[0]

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised channels."""
        result, self._back = self._run(x)
        return result

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradients of scale and shift."""
        back, self._back = self._back, None
        assert back is not None
        return back(gradient)

    def _run(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        self._count.add_(1)
        if x.dim() == IMAGES:
            return self._together(x)
        x = self._stacking.each(x)
        if x.shape[-1] % _LANES:  # the last, incomplete vector of channels rounds otherwise
            return self._one_by_one(x)
        batch = x.shape[1]
        result, back = self._together(x.transpose(0, 1).reshape(batch, -1))

        def turned(gradient: Tensor) -> Tensor:
            below = back(gradient.transpose(0, 1).reshape(batch, -1))
            return below.view(batch, len(x), -1).transpose(0, 1)

        return result.view(batch, len(x), -1).transpose(0, 1).contiguous(), turned

    def _together(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:  # [B, K * C, ...]
        result, back = self._normalise(x, [tensor.view(-1) for tensor in self._state])

        def taken(gradient: Tensor) -> Tensor:
            below, for_weight, for_bias = back(gradient)
            self._weight.add_gradient(lambda memory: memory.view(-1).copy_(for_weight))
            self._bias.add_gradient(lambda memory: memory.view(-1).copy_(for_bias))
            return below

        return result, taken

    def _one_by_one(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        members = zip(x.unbind(0), zip(*self._state, strict=True), strict=True)
        results, backs = zip(*(self._normalise(one, own) for one, own in members), strict=True)

        def taken(gradient: Tensor) -> Tensor:
            parts = [back(own) for back, own in zip(backs, gradient.unbind(0), strict=True)]
            below, for_weight, for_bias = zip(*parts, strict=True)
            self._weight.add_gradient(lambda memory: torch.stack(for_weight, out=memory))
            self._bias.add_gradient(lambda memory: torch.stack(for_bias, out=memory))
            return torch.stack(below)

        return torch.stack(results), taken

    def _normalise(
        self, x: Tensor, state: Sequence[Tensor]
    ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]]:
        weight, bias, mean, variance = state
        result, own_mean, own_scale, reserve, kind = _ATEN._batch_norm_impl_index(
            x, weight, bias, mean, variance, True, self._momentum, self._eps, torch.backends.cudnn.enabled
        )

        def back(gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            gradients: tuple[Tensor, Tensor, Tensor] = _ATEN._batch_norm_impl_index_backward(
                kind, x, gradient, weight, mean, variance, own_mean, own_scale, True, self._eps, [True] * 3, reserve
            )
            return gradients

        return result, back


@rule(nn.GroupNorm)
class StackedGroupNorm(ExplicitLayer):
    """Statistics are per image and group of channels, so the members are more groups: [B, K * C, H, W]."""

    trains = True

    def __init__(self, modules: Sequence[nn.GroupNorm], stacking: Stacking) -> None:
        first = modules[0]
        self._groups, self._eps = first.num_groups * stacking.size, first.eps
        self._weight = stacking.parameter([module.weight for module in modules])
        self._bias = stacking.parameter([module.bias for module in modules])
        self._back: WayBack | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the normalised channels."""
        return self._normalise(x, self._weight.value.view(-1), self._bias.value.view(-1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised channels."""
        weight, bias = self._weight.value.view(-1), self._bias.value.view(-1)
        result, self._back = with_way_back(self._normalise, x, weight, bias)
        return result

    def backward(self, gradient: Tensor, *, to_input: bool) -> Tensor | None:
        """Add to the gradients of scale and shift."""
        back, self._back = self._back, None
        assert back is not None
        below, for_weight, for_bias = back(gradient)
        self._weight.add_gradient(lambda memory: memory.view(-1).copy_(for_weight))
        self._bias.add_gradient(lambda memory: memory.view(-1).copy_(for_bias))
        return below

    def _normalise(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.group_norm(x, self._groups, weight, bias, self._eps)


def channels_last(x: Tensor) -> Tensor:
    """Lay images out pixel by pixel: with the many channels of a stack the CPU's kernels are twice as fast so."""
    if x.device.type != "cpu":
        return x
    if x.shape[1] == 1 and x.is_contiguous():  # lies so already, but is taken for such only by its strides
        return x.as_strided(x.shape, (x.stride(0), 1, x.stride(2), x.stride(3)))
    return x.contiguous(memory_format=torch.channels_last)


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _present(buffer: Tensor | None) -> Tensor:
    assert buffer is not None, "our models track statistics"
    return buffer
