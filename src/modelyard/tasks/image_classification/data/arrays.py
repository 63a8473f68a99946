"""Images that are held in memory as one array (digits, IDX)."""

import numpy as np
from PIL import Image

from modelyard.tasks.image_classification.data.hashing import Hasher
from modelyard.tasks.image_classification.data.source import Ints
from modelyard.tasks.preprocessing import Pixels, Preprocessing

_CHUNK = 4096


class ArrayImages:
    """Grey images, uint8 [N, H, W]; ``name`` is what precedes an image's number."""

    def __init__(self, pixels: Pixels, *, name: str) -> None:
        self._pixels = pixels
        self._name = name

    def open(self, index: int) -> Image.Image:
        """Return the image in mode L."""
        return Image.fromarray(self._pixels[index])

    def name(self, index: int) -> str:
        """Return the name with the image's number, counted from 0."""
        return f"{self._name}#{index}"

    def hash_into(self, hasher: Hasher, indices: Ints) -> None:
        """Add the pixels of the given images."""
        hasher.add(self._name, repr(self._pixels.shape[1:]))
        for start in range(0, len(indices), _CHUNK):
            hasher.add(self._pixels[indices[start : start + _CHUNK]].tobytes())

    def pixels(self, preprocessing: Preprocessing) -> Pixels | None:
        """Return a view [N, C, S, S] unless the images must be resized; grey is repeated for 3 channels."""
        count, height, width = self._pixels.shape
        if (height, width) != preprocessing.shape[1:]:
            return None
        return np.broadcast_to(self._pixels[:, None], (count, *preprocessing.shape))
