"""The folder of features that frozen backbones computed: a cache of bounded size, shared by all processes of a home."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_KEY = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"(train|val|test)\.(rows|digests)")
"""What is called otherwise is not ours to delete."""


class FeatureFolder:
    """One folder for each key. The longest unused ones go when there is no room for another."""

    def __init__(self, root: Path, *, limit: int) -> None:
        self._root = root
        self._limit = limit

    def open(self, key: str, size: int) -> Path | None:
        """Make room for ``size`` bytes and return the folder of ``key``; None if they are more than the limit.

        Processes that have a folder open go on with it after it was deleted.
        """
        if size > self._limit:
            return None
        folder = self._root / key
        others = sorted((path for path in self._folders() if path != folder), key=_last_used)
        total = size + sum(_size(path) for path in others)
        for path in others:
            if total <= self._limit:
                break
            total -= _size(path)
            _delete(path)
        with suppress(OSError):  # whoever writes to it finds out why it cannot be made
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.utime(folder)
        return folder

    def size(self) -> int:
        """Return the bytes of all features."""
        return sum(_size(path) for path in self._folders())

    def _folders(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from (path for path in self._root.iterdir() if _KEY.fullmatch(path.name) and path.is_dir())


def _files(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from (path for path in folder.iterdir() if _FILE.fullmatch(path.name))


def _size(folder: Path) -> int:
    size = 0
    for path in _files(folder):
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _delete(folder: Path) -> None:
    with suppress(OSError):  # somebody else was faster, or put something there that is not ours
        for path in list(_files(folder)):
            path.unlink(missing_ok=True)
        folder.rmdir()
