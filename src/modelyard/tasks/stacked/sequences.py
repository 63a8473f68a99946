"""For which models of a user's own the rules hold: they were written for ours, and others may use a layer otherwise."""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto

from torch import nn


class _Layout(Enum):
    """How the features of a stack lie in memory (see ``rules.Layer``)."""

    VECTORS = auto()
    """[K, B, C]."""
    TOKENS = auto()
    """[K, B, T, C]."""
    INPUT_IMAGES = auto()
    """[K, B, C, H, W]."""
    IMAGES = auto()
    """[B, K * C, H, W]."""


_LAYOUTS = {2: _Layout.VECTORS, 3: _Layout.TOKENS, 4: _Layout.INPUT_IMAGES}
"""Dimensions of a batch of inputs to their layout."""

_ANYWHERE = frozenset(_Layout)
_LATER = frozenset({_Layout.VECTORS, _Layout.TOKENS, _Layout.IMAGES})
_FEATURES = frozenset({_Layout.VECTORS, _Layout.TOKENS})
_VECTORS = frozenset({_Layout.VECTORS})
_PICTURES = frozenset({_Layout.INPUT_IMAGES, _Layout.IMAGES})
_CONVOLVED = frozenset({_Layout.IMAGES})

_WHERE: Mapping[type[nn.Module], frozenset[_Layout]] = {
    nn.Identity: _ANYWHERE,
    nn.ReLU: _LATER,
    nn.GELU: _LATER,
    nn.SiLU: _LATER,
    nn.Tanh: _LATER,
    nn.Embedding: _VECTORS,
    nn.Linear: _FEATURES,
    nn.Dropout: _FEATURES,
    nn.LayerNorm: _FEATURES,
    nn.BatchNorm1d: _VECTORS,
    nn.Flatten: _PICTURES | {_Layout.TOKENS},
    nn.Conv2d: _PICTURES,
    nn.BatchNorm2d: _CONVOLVED,
    nn.GroupNorm: _CONVOLVED,
    nn.MaxPool2d: _CONVOLVED,
    nn.AvgPool2d: _CONVOLVED,
    nn.AdaptiveAvgPool2d: _CONVOLVED,
}
"""Where the rule of a layer does what the layer does."""

_AFTER = {nn.Flatten: _Layout.VECTORS, nn.Conv2d: _Layout.IMAGES, nn.Embedding: _Layout.TOKENS}
"""Layers that change the layout."""


def _is_usual_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> bool:
    return bool(norm.affine and norm.track_running_stats and norm.momentum is not None)


_USUAL: Mapping[type[nn.Module], Callable[..., bool]] = {
    nn.ReLU: lambda layer: not layer.inplace,
    nn.SiLU: lambda layer: not layer.inplace,
    nn.Dropout: lambda layer: not layer.inplace,
    nn.Embedding: lambda layer: layer.max_norm is None and not layer.scale_grad_by_freq and not layer.sparse,
    nn.LayerNorm: lambda layer: layer.bias is not None and len(layer.normalized_shape) == 1,
    nn.BatchNorm1d: _is_usual_norm,
    nn.BatchNorm2d: _is_usual_norm,
    nn.GroupNorm: lambda layer: layer.affine,
    nn.Flatten: lambda layer: (layer.start_dim, layer.end_dim) == (1, -1),
    nn.Conv2d: lambda layer: layer.padding_mode == "zeros" and not isinstance(layer.padding, str),
    nn.MaxPool2d: lambda layer: not layer.return_indices,
}
"""Options that a rule knows nothing of must have these values."""


def follows_rules(model: nn.Module, input_dims: int) -> bool:
    """Whether the rules compute what ``model`` computes of inputs with so many dimensions, the batch included."""
    layout = _LAYOUTS.get(input_dims)
    layers = list(_flat(model))
    if layout is None or len({id(layer) for layer in layers}) < len(layers) or _shares_weights(model):
        return False
    for layer in layers:
        kind = type(layer)
        if layout not in _WHERE.get(kind, frozenset()) or _has_hooks(layer):
            return False
        if kind in _USUAL and not _USUAL[kind](layer):
            return False
        layout = _AFTER.get(kind, layout)
    return True


def _flat(model: nn.Module) -> Iterator[nn.Module]:
    if type(model) is nn.Sequential:
        for child in model:
            yield from _flat(child)
    else:
        yield model


def _shares_weights(model: nn.Module) -> bool:
    everything = [id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False)]
    return len(set(everything)) < len(everything)


def _has_hooks(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks)
