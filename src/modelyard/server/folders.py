"""Folders of the server's machine whose images may be looked at: those below certain roots, and no others."""

import os
from collections.abc import Sequence
from pathlib import Path

from modelyard.domain.errors import UserError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MOST_IMAGES = 10_000


class Folders:
    """Keeps to the roots, also where links lead out of them. Names that begin with a dot are left out."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [root.expanduser().resolve() for root in roots]

    def images(self, folder: str) -> list[str]:
        """Return the images below a folder, as paths relative to it, in order. Raises ``UserError``."""
        top = self.inside(folder)
        if not top.is_dir():
            raise UserError(f"folder: {folder} is not a folder")
        found: list[str] = []
        for parent, folders, files in os.walk(top):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            chosen = (Path(parent, name) for name in sorted(files) if Path(name).suffix.lower() in SUFFIXES)
            found += [str(file.relative_to(top)) for file in chosen if not file.name.startswith(".")]
            if len(found) > MOST_IMAGES:
                raise UserError(f"folder: {folder} has more than {MOST_IMAGES:,} images; choose a part of it")
        return found

    def inside(self, path: str | Path) -> Path:
        """Return where a path really leads. Raises ``UserError`` for one outside of the roots, or that is not there."""
        given = Path(path).expanduser()
        if not given.is_absolute():
            raise UserError(f"folder: {path} is not an absolute path; begin with / or ~")
        real = given.resolve()
        if not any(real.is_relative_to(root) for root in self._roots):
            roots = ", ".join(map(str, self._roots))
            raise UserError(f"folder: {path} is not below {roots}; allow it with: modelyard up --folder PATH")
        if not real.exists():
            raise UserError(f"folder: there is no {path}")
        return real
