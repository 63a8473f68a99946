"""A multi-layer perceptron on the flattened pixels."""

from collections.abc import Callable, Sequence

from torch import nn

from modelyard.domain.parts.models import Mlp
from modelyard.tasks.models.registry import MODELS

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
_NORMS: dict[str, Callable[[int], nn.Module]] = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}


@MODELS.register(Mlp)
def build(config: Mlp, *, image_size: int, channels: int, classes: Sequence[str]) -> nn.Module:
    """Build the layers in order; no hidden layer at all gives logistic regression."""
    width = channels * image_size**2
    layers: list[nn.Module] = [nn.Flatten()]
    for size in config.hidden_sizes:
        layers.append(nn.Linear(width, size))
        if config.norm != "none":
            layers.append(_NORMS[config.norm](size))
        layers.append(_ACTIVATIONS[config.activation]())
        layers.append(nn.Dropout(config.dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, len(classes)))
