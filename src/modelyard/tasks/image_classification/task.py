"""Image classification as the engine sees it: opens the data, builds the problem."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.metrics import RECALL_PREFIX
from modelyard.domain.validation import nearest
from modelyard.tasks.base import Batch, Predictor, Problem, SplitName, TaskData
from modelyard.tasks.image_classification.data import ImageData, SampleCache, Split, open_data
from modelyard.tasks.image_classification.predictor import ImagePredictor
from modelyard.tasks.image_classification.problem import ImageProblem
from modelyard.tasks.models import model_preprocessing

_MEBIBYTE = 2**20


class ImageTaskData:
    """An opened image data set with its decoded samples; ``images`` is the data set itself."""

    fingerprint: str

    def __init__(self, images: ImageData, *, cache_bytes: int) -> None:
        self.images = images
        self.fingerprint = images.fingerprint
        self._splits: Mapping[SplitName, Split] = {
            SplitName.TRAIN: images.train,
            SplitName.VAL: images.val,
            SplitName.TEST: images.test,
        }
        self._caches: dict[SplitName, SampleCache] = {}
        self._labels: dict[SplitName, Tensor] = {}
        # The training data are read in every epoch, so they are first in line for the memory.
        for name, split in self._splits.items():
            self._caches[name] = SampleCache(split, cache_bytes)
            self._labels[name] = torch.from_numpy(np.ascontiguousarray(split.labels, dtype=np.int64))
            cache_bytes = max(0, cache_bytes - len(split) * int(np.prod(split.shape)))

    def size(self, split: SplitName) -> int:
        """Number of samples; 0 for a split that does not exist."""
        return len(self._splits[split])

    def batch(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> Batch:
        """Return the given samples on the host. Raises ``DataError`` for one that cannot be read."""
        indices = torch.from_numpy(samples)
        pixels = torch.from_numpy(self._caches[split].batch(samples))
        return Batch(inputs=pixels, targets=self._labels[split][indices], samples=indices)


class ImageClassification:
    """The task ``image-classification``."""

    def data_key(self, spec: RunSpec) -> str:
        """Canonical JSON of what decides the opened data: its config, and what a pretrained model wants of it."""
        wanted = model_preprocessing(spec.model)
        return canonical_json(
            {"data": spec.data.model_dump(mode="json"), "defaults": None if wanted is None else wanted.to_json()}
        )

    def open_data(self, spec: RunSpec) -> TaskData:
        """Open the data. Raises ``DataError`` or ``ConfigError``."""
        images = open_data(spec.data, defaults=model_preprocessing(spec.model))
        return ImageTaskData(images, cache_bytes=spec.data.cache_mebibytes * _MEBIBYTE)

    def build(self, spec: RunSpec, data: TaskData) -> Problem:
        """Build the model (initial weights from the global random state) and the parts around it.

        Raises ``ConfigError`` for parts that do not fit the data.
        """
        assert isinstance(data, ImageTaskData)
        images = data.images
        _check_watched_recalls(spec, images.classes)
        problem = ImageProblem(
            spec,
            classes=images.classes,
            preprocessing=images.preprocessing,
            class_counts=images.train.class_counts,
        )
        if spec.training.batch_size == 1 and any(isinstance(part, nn.BatchNorm1d) for part in problem.model.modules()):
            raise ConfigError("training.batch_size: batch norm needs at least 2 samples; use 2, or another model.norm")
        return problem

    def predictor(self, spec: RunSpec, metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Predictor:
        """Build a predictor from what a checkpoint holds, and nothing else."""
        return ImagePredictor(spec, metadata, weights)


def _check_watched_recalls(spec: RunSpec, classes: tuple[str, ...]) -> None:
    """Check the classes that only the data know: a watched recall must be of one of them."""
    early = spec.training.early_stopping
    watched = {"checkpoint": spec.training.checkpoint.metric, "early_stopping": early.metric if early else ""}
    prefix = f"val_{RECALL_PREFIX}"
    for field, metric in watched.items():
        name = metric.removeprefix(prefix)
        if metric.startswith(prefix) and name not in classes:
            raise ConfigError(f"training.{field}.metric: the data have no class {name!r}{nearest(name, list(classes))}")
