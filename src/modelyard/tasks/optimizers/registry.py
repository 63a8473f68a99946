"""The registry of optimizers."""

from typing import Any

from torch.optim import Optimizer

from modelyard.domain.parts.optimizers import OptimizerConfig
from modelyard.tasks.registry import Registry

OPTIMIZERS: Registry[OptimizerConfig, Optimizer] = Registry("optimizer")
"""Builders take the config and ``model``."""

Group = dict[str, Any]
"""A parameter group of torch, with ``decays`` (whether it has weight decay) and ``lr_factor`` besides."""
