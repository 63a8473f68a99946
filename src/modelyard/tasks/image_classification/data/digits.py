"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, part of the package itself."""

import importlib.util
from pathlib import Path

import numpy as np

from modelyard.domain.errors import MissingExtraError
from modelyard.domain.parts.data import Digits
from modelyard.tasks.image_classification.data.arrays import ArrayImages
from modelyard.tasks.image_classification.data.source import Samples, Source


def read_digits(config: Digits) -> Source:
    """Return the digits, with their 17 grey levels spread over 0 to 255."""
    table = np.loadtxt(_file(), delimiter=",", dtype=np.int64)
    pixels = np.round(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = np.ascontiguousarray(table[:, -1])
    samples = Samples(images=ArrayImages(pixels, name="digits"), indices=np.arange(len(labels)), labels=labels)
    return Source(classes=tuple(str(digit) for digit in range(10)), splits={"train": samples}, image_size=8, channels=1)


def _file() -> Path:
    """Return the file that ``sklearn.datasets.load_digits`` reads; importing it would take seconds."""
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise MissingExtraError("the digits come with scikit-learn: pip install 'modelyard[train]'")
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
