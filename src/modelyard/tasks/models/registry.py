"""The registry of models; each file of this folder adds its own."""

from torch import nn

from modelyard.domain.parts.models import ModelConfig
from modelyard.tasks.registry import Registry

MODELS: Registry[ModelConfig, nn.Module] = Registry("model")
"""Builders take the config, ``image_size``, ``channels`` and ``classes`` (the names in label order)."""
