"""Configs of the models. Each builder is registered in ``modelyard.tasks.models``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.domain.base import Config
from modelyard.domain.parts._short_form import ShortForm

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Mlp(Config):
    """A multi-layer perceptron on the flattened pixels."""

    name: Literal["mlp"] = "mlp"
    hidden_sizes: tuple[Size, ...] = (64, 64)
    """Width of each hidden layer."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    """Non-linearity between the layers."""
    norm: Literal["none", "layer", "batch"] = "none"
    """Normalisation before each non-linearity."""
    dropout: Dropout = 0.0
    """Share of the hidden values that is dropped in training."""


class Cnn(Config):
    """Blocks of 3x3 convolution, batch norm, ReLU and 2x2 max-pooling, then a linear head."""

    name: Literal["cnn"] = "cnn"
    channels: Annotated[tuple[Size, ...], Field(min_length=1)] = (16, 32)
    """Output channels of each block; each halves the image."""
    hidden_size: Size = 64
    """Width of the layer before the head."""
    dropout: Dropout = 0.0
    """Share of the values before the head that is dropped in training."""


class ResNet(Config):
    """A residual network of basic blocks (He et al., 2016) with a 3x3 stem for small images."""

    name: Literal["resnet"] = "resnet"
    channels: Annotated[tuple[Size, ...], Field(min_length=1)] = (16, 32, 64)
    """Channels of each stage; each stage but the first halves the image."""
    blocks: Annotated[tuple[Size, ...], Field(min_length=1)] = (1, 1, 1)
    """Residual blocks of each stage."""
    dropout: Dropout = 0.0
    """Share of the values before the head that is dropped in training."""

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.channels) != len(self.blocks):
            raise ValueError(
                f"channels has {len(self.channels)} stages and blocks has {len(self.blocks)}; give both the same length"
            )
        return self


class Vit(Config):
    """A vision transformer (Dosovitskiy et al., 2021) with pre-norm blocks and a class token."""

    name: Literal["vit"] = "vit"
    patch_size: Size = 4
    """Side of a square patch in pixels; it must divide the image size."""
    hidden_size: Size = 64
    """Width of the tokens."""
    layers: Size = 2
    """Transformer blocks."""
    heads: Size = 4
    """Attention heads; they must divide ``hidden_size``."""
    mlp_ratio: Annotated[float, Field(gt=0)] = 2.0
    """Width of the feed-forward layers as a multiple of ``hidden_size``."""
    dropout: Dropout = 0.0
    """Share of attention, token and feed-forward values that is dropped in training."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide hidden_size ({self.hidden_size})")
        return self


class HuggingFace(Config):
    """Any image-classification model that transformers can load, by hub id or local folder."""

    name: Literal["huggingface"] = "huggingface"
    model: Annotated[str, Field(min_length=1)]
    """Hub id (``google/vit-base-patch16-224``) or a local folder with ``config.json``."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    pretrained: bool = True
    """Start from the published weights; otherwise from random ones."""
    freeze_backbone: bool = False
    """Train only the classification head."""
    unfreeze_last: Annotated[int, Field(ge=0)] = 0
    """With a frozen backbone: how many of its last blocks train all the same."""
    cache_features: bool = True
    """With a frozen backbone and no augmentation: compute what it makes of an image once, for all epochs and runs."""
    config: dict[str, int | float | bool | str] = {}
    """Fields of the model's own config to override, such as ``hidden_dropout_prob``."""

    @model_validator(mode="after")
    def _unfreeze_needs_freeze(self) -> Self:
        if self.unfreeze_last and not self.freeze_backbone:
            raise ValueError("unfreeze_last has no effect unless freeze_backbone is true")
        return self


ModelConfig = Annotated[Mlp | Cnn | ResNet | Vit | HuggingFace, Field(discriminator="name"), ShortForm]
