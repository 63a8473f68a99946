"""Small pictures of the classes of a data set, for people to look at."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import ImageOps

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import DataConfig
from modelyard.tasks.image_classification.data.readers import read_source
from modelyard.tasks.image_classification.data.source import Images
from modelyard.tasks.preprocessing import DECODE_ERRORS, to_mode

SIDE = 64
"""Pixels of the longer side."""
MOST_CLASSES = 50


def thumbnails(config: DataConfig, folder: Path | None, count: int) -> dict[str, list[str]]:
    """Return for each of the first classes up to ``count`` training images, evenly spread, as PNG in base64.

    Images that cannot be decoded are left out. Raises ``DataError`` like ``read_source``.
    """
    source = read_source(config, folder)
    train = source.splits["train"]
    found: dict[str, list[str]] = {}
    for label, name in enumerate(source.classes[:MOST_CLASSES]):
        of_class = train.indices[train.labels == label]
        spread = of_class[np.unique(np.linspace(0, len(of_class) - 1, min(count, len(of_class)), dtype=np.int64))]
        pictures = [_picture(train.images, int(index)) for index in spread]
        found[name] = [picture for picture in pictures if picture is not None]
    return found


def _picture(images: Images, index: int) -> str | None:
    try:
        with images.open(index) as image:
            image.draft(None, (2 * SIDE, 2 * SIDE))
            small = to_mode(ImageOps.exif_transpose(image), 3)
    except (*DECODE_ERRORS, DataError):
        return None
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
