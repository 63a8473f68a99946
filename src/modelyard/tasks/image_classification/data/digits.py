"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, part of the package itself."""

import numpy as np

from modelyard.domain.errors import MissingExtraError
from modelyard.domain.parts.data import Digits
from modelyard.tasks.image_classification.data.arrays import ArrayImages
from modelyard.tasks.image_classification.data.source import Samples, Source


def read_digits(config: Digits) -> Source:
    """Return the digits, with their 17 grey levels spread over 0 to 255."""
    try:
        # Optional and slow to import, so only when it is asked for.
        from sklearn.datasets import load_digits  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("the digits come with scikit-learn: pip install 'modelyard[train]'") from error
    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    samples = Samples(images=ArrayImages(pixels, name="digits"), indices=np.arange(len(labels)), labels=labels)
    return Source(classes=tuple(str(digit) for digit in range(10)), splits={"train": samples}, image_size=8, channels=1)
