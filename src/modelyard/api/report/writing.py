"""Puts a report's file in place: whole or not at all, and never over what is no report."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from modelyard.domain.errors import StoreError, UserError
from modelyard.store.home import disk_full

MARK = '<meta name="generator" content="Modelyard report">'
"""In every report, near its beginning."""
_WITHIN_BYTES = 2048


def check_writable(path: Path, *, force: bool = False) -> None:
    """Raise ``UserError`` if there is no such folder, or if something else than a report is there already."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent} is not a folder; create it first, or write somewhere else with --output")
    if path.exists() and not force and not _is_report(path):
        raise UserError(f"{path} is not a report of Modelyard; choose another name, or overwrite it with --force")


def write_report(text: str, path: Path, *, force: bool = False) -> None:
    """Write a page. Readers see the old file or the new one, never a part.

    Raises ``UserError`` as ``check_writable`` does, ``StorageFullError``, ``StoreError`` if it cannot be written.
    """
    check_writable(path, force=force)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(path.parent) from error
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(_WITHIN_BYTES)
    except OSError as error:
        raise StoreError(f"cannot read {path}, so it may be no report: {error.strerror or error}") from error
