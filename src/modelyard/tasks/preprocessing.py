"""The one path from an image file to pixels; training, evaluation, inspection and prediction all take it."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from PIL import Image, ImageOps

from modelyard.domain.errors import ConfigError, DataError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

# What Pillow's decoders raise for damaged files; none of them has a base class of its own.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes a model's input: decoded, resized to a square, then ``(x / 255 - mean) / std``.

    ``mean`` and ``std`` have one value per channel, on the scale 0 to 1. Raises ``ConfigError`` for other lengths.
    """

    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ConfigError(
                    f"data.{name}: {len(values)} value(s) for {self.channels} channel(s); "
                    f"give {self.channels}, or set data.channels"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.image_size, self.image_size

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that checkpoints keep."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_json``'s object."""
        return cls(
            image_size=int(value["image_size"]),
            channels=int(value["channels"]),
            mean=tuple(float(number) for number in value["mean"]),
            std=tuple(float(number) for number in value["std"]),
        )


def load_image(file: Path | BinaryIO, preprocessing: Preprocessing, *, name: str | None = None) -> Pixels:
    """Decode and resize one image: uint8 [C, S, S].

    ``name`` is what errors call the image; by default the path. Raises ``DataError`` for one that cannot be decoded.
    """
    try:
        with Image.open(file) as image:
            return render(image, preprocessing)
    except DECODE_ERRORS as error:
        raise unreadable(name or str(file), error) from error


def render(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Turn an opened image into uint8 [C, S, S].

    Applies the EXIF orientation, converts the mode and resizes to a square without keeping the aspect ratio (bilinear,
    with anti-aliasing when it shrinks). Raises what Pillow raises for damaged files (``DECODE_ERRORS``).
    """
    size = preprocessing.image_size
    # A JPEG much larger than needed is decoded at 1/2, 1/4 or 1/8: several times faster, and at least twice the target.
    image.draft(None, (2 * size, 2 * size))
    upright = ImageOps.exif_transpose(image)
    flat = to_mode(upright, preprocessing.channels)
    if flat.size != (size, size):
        flat = flat.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.array(flat, dtype=np.uint8)  # a copy: views of Pillow images are read-only
    return np.ascontiguousarray(pixels.reshape(size, size, preprocessing.channels).transpose(2, 0, 1))


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Convert any mode to grey (1 channel) or RGB (3 channels).

    Transparent pixels are laid over white, as a page shows them: the hidden colour under them is arbitrary. 16-bit grey
    keeps its upper 8 bits. Raises ``ValueError`` for pixels without a fixed range (32-bit floats, wide integers).
    """
    if image.mode == "F":
        raise ValueError("32-bit float pixels have no fixed range; save the image with 8 or 16 bits")
    if image.mode in _DEEP_MODES:
        image = _to_8_bits(image)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    target = "L" if channels == 1 else "RGB"
    return image if image.mode == target else image.convert(target)


def unreadable(name: str, error: BaseException) -> DataError:
    """Return the error for an image that cannot be decoded, by its name."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{name}: no such file (if it was there when the data set was opened, the data set changed)")
    reason = "not an image that Pillow knows" if "cannot identify image" in str(error) else str(error) or repr(error)
    return DataError(f"{name}: cannot read the image ({reason}); replace or remove it")


def _to_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise ValueError("integer pixels outside 0..65535; save the image with 8 or 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8))
