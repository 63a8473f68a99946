"""The features that a frozen backbone makes of a data set's images: what its heads get in place of pixels."""

import math
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelyard.tasks.base import Batch, SplitName
from modelyard.tasks.feature_rows import FeatureRows
from modelyard.tasks.image_classification.image_task_data import ImageTaskData


class ImageFeatures:
    """A data set whose inputs are features, float [B, ...]. Every block of 32 samples is computed once, then kept.

    ``head`` names the modules that come after them, and ``example`` is the features of one sample, [1, ...].
    """

    def __init__(
        self, source: ImageTaskData, *, head: Sequence[str], example: Tensor, folder: Path | None, memory_bytes: int
    ) -> None:
        self.fingerprint = source.fingerprint
        self.head = tuple(head)
        self.sample_bytes = example.nbytes
        self.computed = 0
        """Samples that this process computed; the others were in files."""
        self._source = source
        self._shape, self._dtype = example.shape[1:], example.dtype
        self._rows: dict[SplitName, FeatureRows] = {}
        for split in (SplitName.VAL, SplitName.TRAIN, SplitName.TEST):
            kept = memory_bytes // self.sample_bytes
            size = source.size(split)
            self._rows[split] = FeatureRows(folder, split, count=size, row_bytes=self.sample_bytes, kept=kept)
            memory_bytes = max(0, memory_bytes - size * self.sample_bytes)
        self._todo = deque((split, block) for split, rows in self._rows.items() for block in range(rows.blocks))
        # Another process that computes the same begins elsewhere, and each finds in the files what the other did.
        self._todo.rotate(secrets.randbelow(max(1, len(self._todo))))

    @property
    def prepared(self) -> bool:
        """Whether all features are there."""
        return not self._todo

    def prepare(self, compute: Callable[[Batch], Tensor]) -> None:
        """Load the next block, or ``compute`` its features (on any device) from its pixels."""
        split, block = self._todo[0]
        rows = self._rows[split]
        if not rows.load(block):
            samples = np.array(rows.span(block), dtype=np.int64)
            features = compute(self._source.read_once(split, samples))
            assert features.shape[1:] == self._shape
            assert features.dtype == self._dtype
            rows.store(block, _bytes(features.cpu()))
            self.computed += len(samples)
        self._todo.popleft()

    def size(self, split: SplitName) -> int:
        """Number of samples; 0 for a split that does not exist."""
        return self._source.size(split)

    def batch(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> Batch:
        """Return the features of the given samples on the host; all must be prepared."""
        assert self.prepared
        rows = torch.from_numpy(self._rows[split].take(samples))
        inputs = rows.view(self._dtype).view(len(samples), *self._shape)
        return Batch(inputs=inputs, targets=self._source.targets(split, samples), samples=torch.from_numpy(samples))

    def unread(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> int:
        """Nothing has to be decoded."""
        return 0


def features_bytes(source: ImageTaskData, example: Tensor) -> int:
    """Return how many bytes the features of all samples take."""
    return sum(source.size(split) for split in SplitName) * example.nbytes


def _bytes(features: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return uint8 [B, bytes of a sample]."""
    flat = features.contiguous().view(len(features), math.prod(features.shape[1:]))
    return flat.view(torch.uint8).numpy()
