"""Bytes set aside, so that things can still be deleted once the disk is full."""

import os
from contextlib import suppress
from pathlib import Path

_BYTES = 4 * 2**20
_ROOM = 8 * _BYTES
_NEARLY_FULL = 2**20


class Reserve:
    """A file that nobody needs. Without free bytes SQLite cannot even open a database; giving this up lets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set_aside(self) -> None:
        """Make the reserve if it is missing and the disk has plenty of room; works without it otherwise."""
        try:
            if not self.path.exists() and free_bytes(self.path.parent) >= _ROOM:
                self.path.write_bytes(os.urandom(_BYTES))  # random: no file system compresses it away
        except OSError:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def spend(self) -> None:
        """Give the reserve up if the disk is nearly full."""
        with suppress(OSError):
            if is_nearly_full(self.path.parent):
                self.path.unlink(missing_ok=True)


def is_nearly_full(folder: Path) -> bool:
    """Whether the disk of ``folder`` has less than a megabyte left."""
    return free_bytes(folder) < _NEARLY_FULL


def free_bytes(folder: Path) -> int:
    """Return how many bytes the disk of ``folder`` has left for us."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
