"""One split of an opened data set: samples by number."""

import numpy as np

from modelyard.tasks.image_classification.data.hashing import Hasher
from modelyard.tasks.image_classification.data.source import Ints, Samples
from modelyard.tasks.preprocessing import DECODE_ERRORS, Pixels, Preprocessing, render, unreadable


class Split:
    """Samples 0 to ``len(split) - 1`` with their labels; decoding keeps nothing (see ``SampleCache``)."""

    def __init__(self, samples: Samples, *, preprocessing: Preprocessing, classes: int) -> None:
        self._samples = samples
        self._preprocessing = preprocessing
        self._in_memory = samples.images.pixels(preprocessing)
        self.labels: Ints = samples.labels
        """int64 [N], into the data set's classes."""
        self.class_counts: tuple[int, ...] = tuple(np.bincount(samples.labels, minlength=classes).tolist())
        """Number of samples of each class."""

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every decoded sample."""
        return self._preprocessing.shape

    def decode(self, index: int) -> Pixels:
        """Return one sample, uint8 [C, S, S]. Raises ``DataError`` naming the image if it cannot be read."""
        images, number = self._samples.images, int(self._samples.indices[index])
        try:
            with images.open(number) as image:
                return render(image, self._preprocessing)
        except DECODE_ERRORS as error:
            raise unreadable(images.name(number), error) from error

    def in_memory(self, indices: Ints) -> Pixels | None:
        """Return uint8 [B, C, S, S] where the source holds decoded pixels in memory, else None."""
        if self._in_memory is None:
            return None
        return self._in_memory[self._samples.indices[indices]]

    def name(self, index: int) -> str:
        """What the sample is called in messages: a path within the data set, or a file and a row."""
        return self._samples.images.name(int(self._samples.indices[index]))

    def hash_into(self, hasher: Hasher) -> None:
        """Add labels, names and contents to a fingerprint."""
        hasher.add(self.labels.astype("<i8").tobytes())
        self._samples.images.hash_into(hasher, self._samples.indices)
