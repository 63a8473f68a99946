"""Training several models of one structure as one model."""

from modelyard.tasks.stacked import features, huggingface, images, resnet, vit
from modelyard.tasks.stacked.losses import Back, stack_losses
from modelyard.tasks.stacked.model import StackedModel
from modelyard.tasks.stacked.rules import can_stack

__all__ = ["Back", "StackedModel", "can_stack", "stack_losses"]

_RULES = (features, huggingface, images, resnet, vit)
"""Importing these files fills the table of rules."""
