"""Targets of classification: class numbers, or a probability for each class."""

import torch
from torch import Tensor


def probabilities(targets: Tensor, classes: int) -> Tensor:
    """Return targets as float probabilities [B, C]; class numbers, int64 [B], become one-hot rows."""
    if targets.is_floating_point():
        return targets
    # A comparison and not scatter: deterministic and without synchronisation on every device.
    return (targets.unsqueeze(1) == torch.arange(classes, device=targets.device)).float()
