"""What a model says of each sample of a split, the worst errors first."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modelyard.tasks.base import SplitName
from modelyard.tasks.image_classification.image_task_data import ImageTaskData
from modelyard.tasks.image_classification.predictor import ImagePredictor

MOST_SAMPLES = 20_000
"""Of a larger split so many are predicted, spread evenly over it."""
_BATCH = 256


@dataclass(frozen=True)
class ScoredSamples:
    """Predictions of N samples, in falling order of their losses."""

    samples: Tensor
    """int64 [N]: numbers within the split."""
    targets: Tensor
    """int64 [N]."""
    predicted: Tensor
    """int64 [N]."""
    probability: Tensor
    """float [N]: of the predicted class."""
    loss: Tensor
    """float [N]: minus the logarithm of the probability of the true class."""

    def of(self, target: int | None, predicted: int | None) -> Tensor:
        """Return the places of samples of one class, or taken for one, or both: int64 [M]."""
        fits = torch.ones(len(self.samples), dtype=torch.bool)
        if target is not None:
            fits &= self.targets == target
        if predicted is not None:
            fits &= self.predicted == predicted
        return fits.nonzero().flatten()


def score_samples(predictor: ImagePredictor, data: ImageTaskData, split: SplitName) -> ScoredSamples:
    """Predict a split, or ``MOST_SAMPLES`` of it. Raises ``DataError`` for a sample that cannot be read."""
    size = data.size(split)
    chosen = np.arange(size) if size <= MOST_SAMPLES else np.linspace(0, size - 1, MOST_SAMPLES).astype(np.int64)
    found = []
    for start in range(0, len(chosen), _BATCH):
        batch = data.read_once(split, chosen[start : start + _BATCH].astype(np.int64))
        logs = predictor.log_probabilities(batch.inputs)  # [B, classes]
        top, predicted = logs.max(dim=1)
        loss = -logs.gather(1, batch.targets.unsqueeze(1)).squeeze(1)
        found.append((batch.samples, batch.targets, predicted, top.exp(), loss))
    columns = [torch.cat(column) for column in zip(*found, strict=True)]
    order = columns[-1].argsort(descending=True, stable=True)
    return ScoredSamples(*(column[order] for column in columns))
