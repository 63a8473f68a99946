"""What a reader of one source returns: images by number, labels, and the splits that the source itself has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from modelyard.tasks.image_classification.data.hashing import Hasher
from modelyard.tasks.preprocessing import Pixels, Preprocessing

SplitKey = Literal["train", "val", "test"]
SPLITS: tuple[SplitKey, ...] = ("train", "val", "test")
SPLIT_ALIASES: Mapping[str, SplitKey] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""Names, in lower case, under which sources keep their splits."""

Ints = np.ndarray[Any, np.dtype[np.int64]]


class Images(Protocol):
    """A source's images by number. Every method may be called from several threads at once."""

    def open(self, index: int) -> Image.Image:
        """Open one image; its pixels may be decoded later. Raises what Pillow raises (``DECODE_ERRORS``)."""
        ...

    def name(self, index: int) -> str:
        """What errors and reports call the image: its path within the data set, or file and row."""
        ...

    def hash_into(self, hasher: Hasher, indices: Ints) -> None:
        """Add the names and contents of the given images to a fingerprint, in that order."""
        ...

    def pixels(self, preprocessing: Preprocessing) -> Pixels | None:
        """All images as uint8 [N, C, S, S] where that costs nothing; else None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Labelled images: ``labels[k]`` (int64, into the classes) belongs to image ``indices[k]`` of ``images``."""

    images: Images
    indices: Ints
    labels: Ints

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, positions: Ints) -> "Samples":
        """Return the samples at ``positions``."""
        return Samples(images=self.images, indices=self.indices[positions], labels=self.labels[positions])


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data set as its files hold it, before splits are drawn.

    ``image_size`` and ``channels`` are what the images themselves suggest; None asks for a look at them.
    ``problems`` make the data unusable for training; ``notes`` are remarks for ``inspect``.
    """

    classes: tuple[str, ...]
    splits: Mapping[SplitKey, Samples]
    image_size: int | None = None
    channels: int | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
