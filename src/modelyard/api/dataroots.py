"""The folders below which a server looks at data for whoever asks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.domain.errors import NotFoundError, UserError
from modelyard.domain.parts.data import ROOTS_VARIABLE

MOST_LISTED = 1_000


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What is in a folder that may be looked at; hidden entries are left out."""

    path: Path
    parent: Path | None
    """None for a root."""
    folders: tuple[str, ...]
    """At most ``MOST_LISTED``."""
    files: int
    truncated: bool


class DataRoots:
    """Folders, and all below them. A path that leaves them, by ``..`` or by a symbolic link, is refused."""

    def __init__(self, roots: Sequence[Path] = ()) -> None:
        """Without ``roots``: those of ``MODELYARD_DATA_ROOTS`` or, without that too, the home of this user."""
        named = [Path(root) for root in os.environ.get(ROOTS_VARIABLE, "").split(os.pathsep) if root]
        chosen = [*roots] or named or [Path.home()]
        self.roots = tuple(dict.fromkeys(root.expanduser().resolve() for root in chosen))

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs that must keep to the same folders."""
        return {ROOTS_VARIABLE: os.pathsep.join(map(str, self.roots))}

    def resolve(self, path: str) -> Path:
        """Return a path with its links followed; a relative one starts at the first root.

        Raises ``UserError`` for one that is not below a root, ``NotFoundError`` for one that is not there.
        """
        try:
            resolved = (self.roots[0] / Path(path).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no such user, a zero byte
            raise UserError(f"{path!r} is not a path that can be read: {error}") from error
        if not any(resolved.is_relative_to(root) for root in self.roots):
            raise UserError(
                f"{path} is outside of the folders that may be looked at ({', '.join(map(str, self.roots))}); "
                "start modelyard up with --data-root FOLDER to add one"
            )
        if not resolved.exists():
            raise NotFoundError(f"there is nothing at {resolved}")
        return resolved

    def list(self, path: str) -> Folder:
        """List the folders in a folder. Raises ``UserError``, ``NotFoundError``."""
        resolved = self.resolve(path)
        try:
            with os.scandir(resolved) as entries:
                shown = sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: one.name)
                folders = [one.name for one in shown if one.is_dir()]
        except OSError as error:
            raise UserError(f"cannot read the folder {resolved}: {error.strerror}") from error
        return Folder(
            path=resolved,
            parent=None if resolved in self.roots else resolved.parent,
            folders=tuple(folders[:MOST_LISTED]),
            files=len(shown) - len(folders),
            truncated=len(folders) > MOST_LISTED,
        )
