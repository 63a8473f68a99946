"""A copy of a model with other weights, for evaluation with the best ones."""

import copy
from collections.abc import Mapping

from torch import Tensor, nn


def with_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of ``model`` that has ``weights``; the model itself stays as it is."""
    other = copy.deepcopy(model)
    other.load_state_dict(dict(weights))
    return other
