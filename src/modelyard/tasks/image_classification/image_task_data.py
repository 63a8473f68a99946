"""An opened image data set as the engine reads it: batches of decoded samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelyard.tasks.base import Batch, SplitName
from modelyard.tasks.image_classification.data import ImageData, SampleCache, Split


class ImageTaskData:
    """An opened image data set with its decoded samples; ``images`` is the data set itself."""

    def __init__(self, images: ImageData, *, cache_bytes: int) -> None:
        self.images = images
        # In line for the memory: every run reads the validation data by itself; the training data are read together.
        self._splits: Mapping[SplitName, Split] = {
            SplitName.VAL: images.val,
            SplitName.TRAIN: images.train,
            SplitName.TEST: images.test,
        }
        self.sample_bytes = int(np.prod(images.train.shape))
        self._caches: dict[SplitName, SampleCache] = {}
        self._labels: dict[SplitName, Tensor] = {}
        for name, split in self._splits.items():
            self._caches[name] = SampleCache(split, cache_bytes)
            self._labels[name] = torch.from_numpy(np.ascontiguousarray(split.labels, dtype=np.int64))
            cache_bytes = max(0, cache_bytes - len(split) * self.sample_bytes)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a run could see of the data; reads every file once."""
        return self.images.fingerprint

    def size(self, split: SplitName) -> int:
        """Number of samples; 0 for a split that does not exist."""
        return len(self._splits[split])

    def batch(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> Batch:
        """Return the given samples on the host. Raises ``DataError`` for one that cannot be read."""
        pixels = torch.from_numpy(self._caches[split].batch(samples))
        return Batch(inputs=pixels, targets=self.targets(split, samples), samples=torch.from_numpy(samples))

    def read_once(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> Batch:
        """Return the given samples like ``batch``, without keeping those that must be decoded."""
        pixels = torch.from_numpy(self._caches[split].batch(samples, keep=False))
        return Batch(inputs=pixels, targets=self.targets(split, samples), samples=torch.from_numpy(samples))

    def targets(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        """Return the class numbers of the given samples, int64 [B]."""
        return self._labels[split][torch.from_numpy(samples)]

    def unread(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> int:
        """How many of the samples would have to be decoded."""
        return self._caches[split].missing(samples)
