"""Fills in what the config leaves open: image size, channels, mean and standard deviation."""

import statistics

import numpy as np

from modelyard.domain.parts.data import DataConfig
from modelyard.tasks.image_classification.data.source import Samples, Source
from modelyard.tasks.preprocessing import DECODE_ERRORS, GREY_MODES, Preprocessing, unreadable

LARGEST_DEFAULT_SIZE = 224
_LOOKED_AT = 64


def choose_preprocessing(config: DataConfig, source: Source, defaults: Preprocessing | None) -> Preprocessing:
    """Return the config's settings, else the pretrained model's (``defaults``), else the source's own.

    For image files that is the median of the shorter sides of 64 evenly spaced training images, from 4 to 224, and one
    channel if all of them are grey. Mean and standard deviation are 0.5 unless given.
    Raises ``ConfigError`` for a mean or std that does not fit the channels, ``DataError`` if no image can be read.
    """
    size, channels = config.image_size, config.channels
    if defaults is not None:
        size, channels = size or defaults.image_size, channels or defaults.channels  # type: ignore[assignment]
    found_size, found_channels = source.image_size, source.channels
    if (size or found_size) is None or (channels or found_channels) is None:
        found_size, found_channels = _look(source.splits["train"])
    channels_used = channels or found_channels
    size_used = size or found_size
    assert channels_used is not None
    assert size_used is not None
    if config.mean is not None and config.std is not None:
        mean, std = config.mean, config.std
    elif defaults is not None and defaults.channels == channels_used:
        mean, std = defaults.mean, defaults.std
    else:
        mean = std = (0.5,) * channels_used
    return Preprocessing(image_size=size_used, channels=channels_used, mean=mean, std=std)


def _look(samples: Samples) -> tuple[int, int]:
    """Return the usual size and the channels of some images, from their headers alone."""
    sides: list[int] = []
    grey = True
    failure: Exception | None = None
    chosen = np.unique(np.linspace(0, len(samples) - 1, _LOOKED_AT).astype(np.int64))
    for index in samples.indices[chosen]:
        try:
            with samples.images.open(int(index)) as image:
                sides.append(min(image.size))
                grey = grey and image.mode in GREY_MODES
        except DECODE_ERRORS as error:
            failure = failure or unreadable(samples.images.name(int(index)), error)
    if not sides:
        assert failure is not None
        raise failure
    return max(4, min(LARGEST_DEFAULT_SIZE, round(statistics.median(sides)))), 1 if grey else 3
