"""Decodes every image of a data set once, at full size: its size, mode and identity, or why it cannot be read."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import ImageOps

from modelyard.domain.errors import DataError
from modelyard.tasks.image_classification.data.source import Samples, SplitKey
from modelyard.tasks.preprocessing import DECODE_ERRORS, to_mode, unreadable

Progress = Callable[[int, int], None]
_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """One image. ``digest`` identifies its decoded pixels; a corrupt one has a ``reason`` instead."""

    split: SplitKey
    name: str
    label: int
    width: int = 0
    height: int = 0
    mode: str = ""
    digest: bytes = b""
    reason: str = ""


def measure_all(splits: Mapping[SplitKey, Samples], progress: Progress | None = None) -> list[Measured]:
    """Measure all splits with a pool of threads, in order. ``progress(done, total)`` is called from this thread."""
    chunks = [chunk for key, samples in splits.items() for chunk in _chunks(key, samples)]
    total = sum(len(samples) for samples in splits.values())
    measured: list[Measured] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for part in pool.map(_measure_chunk, chunks):
            measured += part
            if progress is not None:
                progress(len(measured), total)
    return measured


def _chunks(key: SplitKey, samples: Samples) -> Iterator[tuple[SplitKey, Samples, range]]:
    for start in range(0, len(samples), _CHUNK):
        yield key, samples, range(start, min(start + _CHUNK, len(samples)))


def _measure_chunk(chunk: tuple[SplitKey, Samples, Sequence[int]]) -> list[Measured]:
    key, samples, positions = chunk
    return [_measure(key, samples, position) for position in positions]


def _measure(key: SplitKey, samples: Samples, position: int) -> Measured:
    index, label = int(samples.indices[position]), int(samples.labels[position])
    name = samples.images.name(index)
    try:
        with samples.images.open(index) as image:
            mode = image.mode
            upright = ImageOps.exif_transpose(image)
            pixels = to_mode(upright, 3)
    except DECODE_ERRORS as error:
        reason = str(unreadable(name, error)).removeprefix(f"{name}: ")
        return Measured(key, name, label, reason=reason)
    except DataError as error:
        return Measured(key, name, label, reason=str(error).removeprefix(f"{name}: "))
    width, height = pixels.size
    digest = hashlib.blake2b(repr(pixels.size).encode() + pixels.tobytes(), digest_size=16).digest()
    return Measured(key, name, label, width, height, mode, digest)
