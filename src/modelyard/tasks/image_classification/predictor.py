"""Reads an image file and says what is in it, with a checkpoint's weights, labels and preprocessing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modelyard.domain.config import RunSpec
from modelyard.tasks.image_classification.normalizer import Normalizer
from modelyard.tasks.models import rebuild_model
from modelyard.tasks.preprocessing import Preprocessing, load_image


class ImagePredictor:
    """Predicts one file at a time on the CPU."""

    def __init__(self, spec: RunSpec, metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self._classes: list[str] = metadata["classes"]
        self._preprocessing = Preprocessing.from_json(metadata["preprocessing"])
        self._normalizer = Normalizer(self._preprocessing)
        self._model = rebuild_model(
            spec.model,
            image_size=self._preprocessing.image_size,
            channels=self._preprocessing.channels,
            classes=self._classes,
            metadata=metadata["model"],
        )
        self._model.load_state_dict(dict(weights))

    def predict(self, file: Path) -> Mapping[str, float]:
        """Return the probability of every class. Raises ``DataError`` for a file that cannot be read."""
        pixels = torch.from_numpy(load_image(file, self._preprocessing))
        with torch.no_grad():
            logits = self._model(self._normalizer.from_bytes(pixels[None]))
        probabilities = torch.softmax(logits[0].float(), dim=0).tolist()
        return dict(zip(self._classes, probabilities, strict=True))
