"""Optimizers: parameter groups by weight decay, and the learning rate set anew at every step."""

from torch import nn
from torch.optim import Optimizer

from modelyard.domain.parts.optimizers import OptimizerConfig
from modelyard.tasks.optimizers import builtin, lion, muon
from modelyard.tasks.optimizers.lean import lean_step, repeated_step
from modelyard.tasks.optimizers.registry import OPTIMIZERS
from modelyard.tasks.optimizers.start import spare_the_compiler

__all__ = ["OPTIMIZERS", "build_optimizer", "lean_step", "repeated_step", "set_hyperparameters"]

_ENTRIES = (builtin, lion, muon)
"""Importing these files fills the registry."""


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> Optimizer:
    """Build the optimizer of the parameters that require gradients, on the device where they are.

    Each group has ``decays`` (bool) and ``lr_factor`` (float) besides torch's own keys.
    """
    spare_the_compiler()
    optimizer = OPTIMIZERS.build(config, model=model)
    set_hyperparameters(optimizer, learning_rate=config.learning_rate, weight_decay=config.weight_decay)
    return optimizer


def set_hyperparameters(optimizer: Optimizer, *, learning_rate: float, weight_decay: float) -> None:
    """Set the learning rate, times each group's factor, and the weight decay of the groups that have one."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["lr_factor"]
        group["weight_decay"] = weight_decay if group["decays"] else 0.0
