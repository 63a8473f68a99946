"""The images of a folder of the server's machine."""

import os
from pathlib import Path

from modelyard.api.dataroots import DataRoots
from modelyard.domain.errors import UserError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MOST_IMAGES = 10_000


def images_in(roots: DataRoots, folder: str) -> list[str]:
    """Return the images below a folder, as paths relative to it, in order; hidden ones are left out.

    Raises ``UserError`` for a folder outside of the roots, or with too many images; ``NotFoundError``.
    """
    top = roots.resolve(folder)
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
