"""The home folder: where everything of one installation is, and the proof that it is ours."""

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelyard.domain.errors import SchemaVersionError, StorageFullError, StoreError
from modelyard.store.reserve import Reserve, free_bytes

_FORMAT = 1
_MARKER = "home.json"
_LOCK = "home.lock"
_OURS = (
    *("modelyard.db", "blobs", "scratch", "logs", "features", "doorbell", "reserve"),
    *("measurements", "devices", "inspections"),
)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Home:
    """One folder to back up. Modelyard deletes nothing outside of it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @property
    def is_read_only(self) -> bool:
        """Whether this process can read the home and must leave it as it is: another user's, or a read-only mount."""
        return self.path.is_dir() and not os.access(self.path, os.W_OK)

    @property
    def database(self) -> Path:
        """The SQLite file (not used with PostgreSQL)."""
        return self.path / "modelyard.db"

    @property
    def blobs(self) -> Path:
        """The OCI image layout that holds all blobs."""
        return self.path / "blobs"

    @property
    def doorbell(self) -> Path:
        """The file that tells engines on this machine to look for requests."""
        return self.path / "doorbell"

    @property
    def reserve(self) -> Reserve:
        """The bytes that are given up when the disk is full."""
        return Reserve(self.path / "reserve")

    @property
    def logs(self) -> Path:
        """The folder of the logs of engine processes."""
        return self.path / "logs"

    @property
    def features(self) -> Path:
        """The folder of what frozen backbones computed; it may be deleted at any time."""
        return self.path / "features"

    @property
    def measurements(self) -> Path:
        """The folder of what was measured about speed; it may be deleted at any time."""
        return self.path / "measurements"

    @property
    def devices(self) -> Path:
        """The folder of what devices did lately; it may be deleted at any time."""
        return self.path / "devices"

    @property
    def inspections(self) -> Path:
        """The folder of what was found out about data sets; it may be deleted at any time."""
        return self.path / "inspections"

    @property
    def scratch_root(self) -> Path:
        """The folder of all scratch folders."""
        return self.path / "scratch"

    def scratch(self, run_id: str) -> Path:
        """Return the folder for a run's temporary files; it goes with the run. Created if missing."""
        return self._folder(self.scratch_root / _checked(run_id))

    def remove_scratch(self, run_id: str) -> None:
        """Delete a run's scratch folder, if it has one."""
        folder = self.scratch_root / _checked(run_id)
        with translated_os_errors(folder):
            if folder.exists():
                shutil.rmtree(folder)

    def worker_log(self, worker_id: str) -> Path:
        """Return the file that a worker process writes its output to; its folder exists."""
        name = f"{_checked(worker_id)}.log"
        return self._folder(self.logs) / name

    def prepare(self) -> None:
        """Create the folder and its marker, or check that it is ours.

        Raises ``StoreError`` for a folder with entries of ours that we did not make, ``SchemaVersionError`` for a newer
        layout, ``StorageFullError``.
        """
        with translated_os_errors(self.path):
            self._folder(self.path)
            marker = self.path / _MARKER
            if not marker.exists():
                with self.locked():
                    if not marker.exists():
                        self._claim(marker)
            self._check(marker)

    def has_blobs(self) -> bool:
        """Whether any blob is there."""
        folder = self.blobs / "blobs" / "sha256"
        return folder.is_dir() and any(folder.iterdir())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home's lock against other processes of this machine; for set-up and migrations only."""
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _claim(self, marker: Path) -> None:
        foreign = [name for name in _OURS if (self.path / name).exists()]
        if foreign:
            raise StoreError(
                f"{self.path} has {', '.join(foreign)} in it but was not made by Modelyard; "
                "set MODELYARD_HOME to a new or empty folder"
            )
        temporary = marker.with_name(f".{_MARKER}.tmp")
        try:
            temporary.write_text(json.dumps({"format": _FORMAT}) + "\n")
            temporary.replace(marker)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _check(self, marker: Path) -> None:
        try:
            found = json.loads(marker.read_text())["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{marker} is damaged; restore it from a backup") from error
        if found != _FORMAT:
            raise SchemaVersionError(f"{self.path} was written by a newer Modelyard; upgrade Modelyard to open it")

    def _folder(self, path: Path) -> Path:
        if path != self.path:
            self._folder(path.parent)  # mkdir gives the mode to the last folder alone
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


@contextmanager
def translated_os_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` below ``path`` into ``StorageFullError`` or ``StoreError``."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(path) from error
        raise StoreError(
            f"cannot use {path}: {error.strerror}; set MODELYARD_HOME to a folder you may write"
        ) from error


def disk_full(path: Path) -> StorageFullError:
    """Build the error for a full disk, with how much is left."""
    left = ""
    with suppress(OSError):
        left = f" ({free_bytes(path):,} bytes left)"
    return StorageFullError(
        f"the disk of {path} is full{left}; free some space (see `modelyard storage`, `modelyard gc`)"
    )


def _checked(name: str) -> str:
    """Return ``name`` if it can be one part of a path and nothing more."""
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not an id")
    return name
