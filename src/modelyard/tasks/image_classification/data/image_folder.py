"""Folders of image files: one folder per class, with or without train, val and test folders above them."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import ImageFolder
from modelyard.tasks.image_classification.data.hashing import Hasher
from modelyard.tasks.image_classification.data.paths import inside, require_folder, resolve_data_path
from modelyard.tasks.image_classification.data.source import SPLIT_ALIASES, Ints, Samples, Source, SplitKey
from modelyard.tasks.preprocessing import Pixels, Preprocessing

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
_READERS = min(16, 4 * (os.cpu_count() or 1))


class FileImages:
    """Image files below ``root``, by their path relative to it (with ``/`` on every system)."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self._root = root
        self._names = names

    def open(self, index: int) -> Image.Image:
        """Open the file; Pillow reads the pixels when they are asked for."""
        return Image.open(self._root / self._names[index])

    def name(self, index: int) -> str:
        """Return the path within the data set."""
        return self._names[index]

    def hash_into(self, hasher: Hasher, indices: Ints) -> None:
        """Add the names and contents; each file is read once, several at a time."""
        names = [self._names[index] for index in indices]
        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(names), 4096):
                chunk = names[start : start + 4096]
                for name, digest in zip(chunk, pool.map(self._digest, chunk), strict=True):
                    hasher.add(name, digest)

    def pixels(self, preprocessing: Preprocessing) -> Pixels | None:
        """Return None: files must be decoded."""
        return None

    def _digest(self, name: str) -> bytes:
        try:
            with (self._root / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise DataError(f"{name}: cannot read the file ({error.strerror or error})") from error


def read_image_folder(config: ImageFolder, folder: Path | None) -> Source:
    """Find the class folders and their images; nothing is decoded.

    Raises ``DataError`` for a missing or empty folder and for symbolic links that leave it.
    """
    root = require_folder(resolve_data_path(config.path, folder))
    try:
        return _Scan(root).source()
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot read the folder ({error.strerror or error})") from error


class _Scan:
    """One walk through a data set: what it found, what it left out, and what is wrong."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: list[str] = []
        self.ignored: Counter[str] = Counter()
        self.problems: list[str] = []
        self.notes: list[str] = []

    def source(self) -> Source:
        split_folders = self._split_folders()
        classes = tuple(self._subfolders(split_folders["train"]))
        if not classes:
            raise DataError(f"{split_folders['train']} has no class folders; expected one folder of images per class")
        splits = {key: self._read_split(key, where, classes) for key, where in split_folders.items()}
        images = FileImages(self.root, self.names)
        return Source(
            classes=classes,
            splits={
                key: Samples(images=images, indices=indices, labels=labels) for key, (indices, labels) in splits.items()
            },
            problems=tuple(self.problems),
            notes=tuple(self.notes),
            ignored=dict(self.ignored),
        )

    def _split_folders(self) -> dict[SplitKey, Path]:
        """Return the folder of each split; the data set's own folder if it has no ``train`` folder."""
        found: dict[SplitKey, list[str]] = {}
        others: list[str] = []
        for name in self._subfolders(self.root):
            key = SPLIT_ALIASES.get(name.lower())
            found.setdefault(key, []).append(name) if key else others.append(name)
        for key, names in found.items():
            if len(names) > 1 and "train" in found:
                raise DataError(f"{self.root}: {' and '.join(names)} both mean {key}; keep one of them")
        if "train" in found:
            if others:
                self.notes.append(f"Folders beside train are ignored: {', '.join(others)}.")
            self.ignored["files outside class folders"] += self._count_files(self.root)
            return {key: self.root / names[0] for key, names in sorted(found.items())}
        if found and not others:
            raise DataError(f"{self.root}: has {', '.join(sorted(found))} but no train folder; add train/<class>/")
        if found:
            names = [name for group in found.values() for name in group]
            self.notes.append(f"There is no train folder, so {', '.join(names)} is read as a class.")
        return {"train": self.root}

    def _read_split(self, key: SplitKey, where: Path, classes: Sequence[str]) -> tuple[Ints, Ints]:
        self.ignored["files outside class folders"] += self._count_files(where)
        known = {name: label for label, name in enumerate(classes)}
        first, labels = len(self.names), list[int]()
        for name in self._subfolders(where):
            files = sorted(self._images(where / name, ()))
            if name not in known:
                self.problems.append(
                    f"class {name!r} is in {where.name} ({len(files)} images) but not in train; "
                    "add training images or remove the folder"
                )
                continue
            if not files:
                self._empty_class(key, where / name)
            self.names += files
            labels += [known[name]] * len(files)
        if not labels and key != "train":
            self.problems.append(f"the {key} split in {where} has no images; add some or remove the folder")
        return np.arange(first, len(self.names), dtype=np.int64), np.array(labels, dtype=np.int64)

    def _empty_class(self, key: SplitKey, where: Path) -> None:
        if key == "train":
            self.problems.append(
                f"class folder {where} has no images (known suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}); "
                "add images or remove the folder"
            )

    def _subfolders(self, where: Path) -> list[str]:
        with os.scandir(where) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        for name in names:
            inside(self.root, where / name)
        return names

    def _count_files(self, where: Path) -> int:
        with os.scandir(where) as entries:
            return sum(entry.is_file() and not entry.name.startswith(".") for entry in entries)

    def _images(self, where: Path, parents: tuple[Path, ...]) -> Iterator[str]:
        """Yield the images at any depth below ``where``; a link to a folder above itself is not followed again."""
        real = inside(self.root, where)
        if real in parents:
            return
        with os.scandir(where) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    self.ignored["hidden"] += 1
                elif entry.is_dir():
                    yield from self._images(Path(entry.path), (*parents, real))
                elif Path(entry.name).suffix.lower() not in IMAGE_SUFFIXES:
                    self.ignored["not images"] += 1
                else:
                    if entry.is_symlink():
                        inside(self.root, Path(entry.path))
                    yield Path(entry.path).relative_to(self.root).as_posix()
