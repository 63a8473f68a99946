"""IDX files, the format of MNIST and its relatives: a four-byte magic number, big-endian sizes, raw bytes.

Source of the format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import IO, Literal, cast

import numpy as np

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import Idx
from modelyard.tasks.image_classification.data.arrays import ArrayImages
from modelyard.tasks.image_classification.data.labels import Labels, index_labels
from modelyard.tasks.image_classification.data.paths import inside, require_folder, resolve_data_path
from modelyard.tasks.image_classification.data.source import SPLIT_ALIASES, Samples, Source, SplitKey
from modelyard.tasks.preprocessing import Pixels

_FILE = re.compile(
    r"(?:.*[-_.])?(?P<split>train|t10k|test|val|valid|validation)[-_.](?P<kind>images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?",
    re.IGNORECASE,
)
_UNSIGNED_BYTE = 0x08
_CHUNK = 1 << 20
Kind = Literal["images", "labels"]


def read_idx(config: Idx, folder: Path | None) -> Source:
    """Read ``train-``, ``val-`` and ``t10k-`` (or ``test-``) images and labels, plain or gzipped, into memory.

    Classes are the distinct labels of the training file, in numeric order. Raises ``DataError`` for a missing or
    damaged file, and for as many labels as there are not images.
    """
    root = require_folder(resolve_data_path(config.path, folder))
    files = _find(root)
    if ("train", "images") not in files:
        raise DataError(f"{root} has no train-images-idx3-ubyte or train-images-idx3-ubyte.gz")
    arrays: dict[SplitKey, tuple[Pixels, Pixels]] = {}
    for key, kind in files:
        if kind == "images":
            arrays[key] = _read_pair(root, files, key)
    labels = index_labels({key: Labels(f"{key} labels", values.tolist()) for key, (_, values) in arrays.items()})
    splits = {
        key: Samples(
            images=ArrayImages(pixels, name=f"{key} image "), indices=np.arange(len(pixels)), labels=labels.of[key]
        )
        for key, (pixels, _) in arrays.items()
    }
    return Source(
        classes=labels.classes,
        splits=splits,
        image_size=max(4, *arrays["train"][0].shape[1:]),
        channels=1,
        problems=labels.problems,
    )


def parse_idx(file: IO[bytes], *, dimensions: int, name: str) -> Pixels:
    """Read one IDX stream of unsigned bytes with the given number of dimensions: uint8 [N] or [N, H, W].

    Raises ``DataError`` for another magic number, and for more or fewer bytes than the header promises. Never reads or
    reserves more than the stream has.
    """
    header = file.read(4 + 4 * dimensions)
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if header[:4] != magic:
        raise DataError(
            f"{name}: starts with {header[:4].hex() or 'nothing'}, not with IDX's {magic.hex()} "
            f"(unsigned bytes in {dimensions} dimension(s))"
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{name}: truncated within its header")
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    expected = math.prod(shape)
    body = _read_up_to(file, expected + 1)
    if len(body) != expected:
        have = f"only {len(body)}" if len(body) < expected else "more"
        raise DataError(f"{name}: its header promises {expected} bytes but there are {have}; fetch the file again")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _read_up_to(file: IO[bytes], limit: int) -> bytes:
    """Read in pieces, because the limit comes from a header that may lie."""
    body = bytearray()
    while len(body) < limit and (piece := file.read(min(_CHUNK, limit - len(body)))):
        body += piece
    return bytes(body)


def _find(root: Path) -> dict[tuple[SplitKey, Kind], Path]:
    """Return the file of each split and kind; a plain file goes before a gzipped one of the same name."""
    found: dict[tuple[SplitKey, Kind], Path] = {}
    for path in sorted(root.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        split = match["split"].lower()
        kind: Kind = "images" if match["kind"].lower() == "images" else "labels"
        place = ("test" if split == "t10k" else SPLIT_ALIASES[split], kind)
        first = found.setdefault(place, inside(root, path))
        if first.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
            raise DataError(f"{root}: {first.name} and {path.name} are both {kind} of {place[0]}; keep one of them")
    return found


def _read_pair(root: Path, files: dict[tuple[SplitKey, Kind], Path], key: SplitKey) -> tuple[Pixels, Pixels]:
    if (key, "labels") not in files:
        raise DataError(f"{root}: {files[key, 'images'].name} has no labels file beside it")
    pixels = _read(files[key, "images"], dimensions=3)
    labels = _read(files[key, "labels"], dimensions=1)
    if len(pixels) != len(labels):
        raise DataError(
            f"{root}: {files[key, 'images'].name} has {len(pixels)} images but "
            f"{files[key, 'labels'].name} has {len(labels)} labels"
        )
    if 0 in pixels.shape[1:]:
        raise DataError(f"{files[key, 'images'].name}: images of {pixels.shape[1]} x {pixels.shape[2]} pixels")
    return pixels, labels


def _read(path: Path, *, dimensions: int) -> Pixels:
    try:
        opener = gzip.open if path.suffix.lower() == ".gz" else open
        with opener(path, "rb") as file:
            return parse_idx(cast("IO[bytes]", file), dimensions=dimensions, name=path.name)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: cannot read the file ({error}); fetch it again") from error
