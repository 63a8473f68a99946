"""Training several models of one structure as one model."""

from collections.abc import Sequence

import torch

from modelyard.tasks.base import Problem
from modelyard.tasks.stacked import features, huggingface, images, resnet, vit
from modelyard.tasks.stacked.functional import FunctionalModel, can_vmap
from modelyard.tasks.stacked.losses import Back, stack_losses
from modelyard.tasks.stacked.model import StackedModel
from modelyard.tasks.stacked.rules import can_stack
from modelyard.tasks.stacked.sequences import follows_rules

__all__ = [
    "Back",
    "FunctionalModel",
    "StackedModel",
    "can_stack",
    "follows_rules",
    "is_stackable",
    "stack_losses",
    "stack_models",
]

_RULES = (features, huggingface, images, resnet, vit)
"""Importing these files fills the table of rules."""


def is_stackable(problem: Problem) -> bool:
    """Whether problems like this one may train as one model."""
    return problem.has_rules or can_vmap(problem.model)


def stack_models(problems: Sequence[Problem], streams: Sequence[torch.Generator]) -> StackedModel:
    """Make one model of the problems' models, by rules where there are, else by ``vmap``. Raises ``LookupError``."""
    models = [problem.model for problem in problems]
    if problems[0].has_rules:
        return StackedModel(models, streams)
    return FunctionalModel(models, streams, problems[0].forward)
