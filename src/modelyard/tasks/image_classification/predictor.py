"""Reads an image file and says what is in it, with a checkpoint's weights, labels and preprocessing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from modelyard.domain.config import RunSpec
from modelyard.tasks.image_classification.normalizer import Normalizer
from modelyard.tasks.image_classification.saliency import smooth_gradient
from modelyard.tasks.models import rebuild_model
from modelyard.tasks.preprocessing import Preprocessing, load_image


class ImagePredictor:
    """Predicts on the CPU."""

    def __init__(self, spec: RunSpec, metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self.classes: list[str] = metadata["classes"]
        self._preprocessing = Preprocessing.from_json(metadata["preprocessing"])
        self._normalizer = Normalizer(self._preprocessing)
        self._model = rebuild_model(
            spec.model,
            image_size=self._preprocessing.image_size,
            channels=self._preprocessing.channels,
            classes=self.classes,
            metadata=metadata["model"],
        )
        self._model.load_state_dict(dict(weights))

    def predict(self, file: Path) -> Mapping[str, float]:
        """Return the probability of every class. Raises ``DataError`` for a file that cannot be read."""
        probabilities = self.log_probabilities(self.read(file)[None])[0].exp().tolist()
        return dict(zip(self.classes, probabilities, strict=True))

    def read(self, file: Path | BinaryIO, *, name: str | None = None) -> Tensor:
        """Return an image as the model gets it but for the normalisation: uint8 [C, S, S]. Raises ``DataError``."""
        return torch.from_numpy(load_image(file, self._preprocessing, name=name))

    def log_probabilities(self, pixels: Tensor) -> Tensor:
        """Return the logarithm of the probability of every class, float [B, classes], for uint8 [B, C, S, S]."""
        with torch.no_grad():
            logits: Tensor = self._model(self._normalizer.from_bytes(pixels))
        return torch.log_softmax(logits.float(), dim=1)

    def saliency(self, pixels: Tensor, label: int) -> Tensor:
        """Return how much each pixel of uint8 [C, S, S] moves the score of a class: float [S, S], 0 to 1."""
        return smooth_gradient(self._model, self._normalizer.from_bytes(pixels[None]), label)
