"""Models: pixels, float [B, channels, S, S], to logits [B, C]."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from modelyard.domain.parts.models import HuggingFace, ModelConfig
from modelyard.tasks.models import cnn, huggingface, mlp, resnet, vit
from modelyard.tasks.models.huggingface_classifier import HuggingFaceClassifier
from modelyard.tasks.models.huggingface_files import preprocessing
from modelyard.tasks.models.registry import MODELS
from modelyard.tasks.preprocessing import Preprocessing

__all__ = ["MODELS", "build_model", "model_metadata", "model_preprocessing", "rebuild_model"]

_ENTRIES = (mlp, cnn, resnet, vit, huggingface)
"""Importing these files fills the registry."""


def build_model(config: ModelConfig, *, image_size: int, channels: int, classes: Sequence[str]) -> nn.Module:
    """Build ``forward(pixels float [B, channels, S, S]) -> logits [B, C]`` with weights from the global random state.

    Raises ``ConfigError`` for a model that does not fit the images.
    """
    return MODELS.build(config, image_size=image_size, channels=channels, classes=classes)


def model_metadata(model: nn.Module) -> dict[str, Any]:
    """Return what ``rebuild_model`` needs besides the config, as JSON: a Hugging Face model's own config."""
    return {"config": model.config_json()} if isinstance(model, HuggingFaceClassifier) else {}


def rebuild_model(
    config: ModelConfig, *, image_size: int, channels: int, classes: Sequence[str], metadata: Mapping[str, Any]
) -> nn.Module:
    """Build the same model again, in evaluation mode and with weights to be loaded; reads no file.

    The global random state stays as it is.
    """
    with torch.random.fork_rng(devices=[]):
        if isinstance(config, HuggingFace):
            model: nn.Module = huggingface.rebuild(config, metadata["config"])
        else:
            model = build_model(config, image_size=image_size, channels=channels, classes=classes)
    return model.eval()


def model_preprocessing(config: ModelConfig) -> Preprocessing | None:
    """Return what a Hugging Face model was trained on; None for our own models, which take any image."""
    return preprocessing(config) if isinstance(config, HuggingFace) else None
