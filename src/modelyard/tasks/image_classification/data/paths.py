"""Where data may be read from: below the user's data roots, and never outside the data set's own folder."""

import os
from pathlib import Path

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import ROOTS_VARIABLE


def resolve_data_path(path: str, folder: Path | None = None) -> Path:
    """Return the absolute path of a data set; relative ones start at ``folder`` (default: the working directory).

    Raises ``DataError`` if nothing is there, or if ``MODELYARD_DATA_ROOTS`` is set (folders separated as in ``PATH``)
    and the path, after symbolic links, is in none of them.
    """
    resolved = ((folder or Path()) / Path(path).expanduser()).resolve()
    value = os.environ.get(ROOTS_VARIABLE, "")
    roots = [Path(root).expanduser().resolve() for root in value.split(os.pathsep) if root]
    if roots and not any(resolved.is_relative_to(root) for root in roots):
        raise DataError(
            f"data.path: {path!r} is outside the folders that {ROOTS_VARIABLE} allows "
            f"({', '.join(str(root) for root in roots)}); move the data there or add its folder"
        )
    if not resolved.exists():
        raise DataError(f"data.path: there is nothing at {resolved}; relative paths start at the sweep file's folder")
    return resolved


def require_folder(path: Path) -> Path:
    """Return ``path``. Raises ``DataError`` if it is not a folder."""
    if not path.is_dir():
        raise DataError(f"data.path: {path} is a file; this source needs a folder")
    return path


def inside(root: Path, path: Path) -> Path:
    """Return ``path`` with symbolic links resolved. Raises ``DataError`` if it leaves ``root`` (itself resolved)."""
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        raise DataError(f"{path} leads out of the data set's folder {root}; copy the file into it or remove it")
    return resolved
