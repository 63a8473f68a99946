import io
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., Path]


def pixels_of(name: str, height: int = 12, width: int = 12) -> np.ndarray:
    """Pixels uint8 [H, W, 3] that differ for every name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def write_image() -> WriteImage:
    def write(path: Path, *, pixels: np.ndarray | None = None, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels_of(str(path)) if pixels is None else pixels).save(path, **options)
        return path

    return write


@pytest.fixture
def png() -> Callable[..., bytes]:
    def encode(name: str, height: int = 12, width: int = 12) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels_of(name, height, width)).save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture
def make_folder(tmp_path: Path, png: Callable[..., bytes]) -> Callable[[Mapping[str, int]], Path]:
    """Write ``{"train/cat": 3}`` as three PNG files, 0 as an empty folder. Pixels follow from the names."""

    def make(counts: Mapping[str, int], name: str = "images") -> Path:
        root = tmp_path / name
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (root / folder / f"{number:03}.png").write_bytes(png(f"{folder}/{number}"))
        return root

    return make
