"""An archive read as a bundle: the manifest, and the records, points and blobs that it lists."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from modelyard.api.bundles.archive import Archive
from modelyard.api.bundles.layout import FORMAT, MANIFEST, VERSION, Manifest, blob_name, digest_of, parts_of
from modelyard.domain.errors import UserError
from modelyard.store.bundles import POINTS, TABLES
from modelyard.store.bundles.records import Record

R = TypeVar("R", bound=Record)

_TABLE_OF = {kind: name for name, kind in TABLES.items()}


class Bundle:
    """A bundle whose members are those that its manifest lists; a ``Source`` of records."""

    def __init__(self, archive: Archive) -> None:
        """Read the manifest. Raises ``UserError`` for another format, a newer version, or members that do not fit."""
        self._archive = archive
        text = archive.whole(MANIFEST)
        self.digest = hashlib.sha256(text).hexdigest()
        """SHA-256 of the manifest, which has the hashes of all the rest."""
        self.manifest = _manifest(text)
        self._members = self.manifest.members
        if found := archive.sizes.keys() - {MANIFEST} ^ self._members.keys():
            name = min(found)
            where = "its manifest does not list it" if name in archive.sizes else "its manifest lists it"
            raise UserError(f"{name} is {'too much' if name in archive.sizes else 'missing'}: {where}")
        for name, member in self._members.items():
            if archive.sizes[name] != member.size:
                raise UserError(f"{name} has {archive.sizes[name]:,} bytes, and {member.size:,} in the manifest")
            if digest_of(name) not in {None, f"sha256:{member.sha256}"}:
                raise UserError(f"{name} is named after another hash than the manifest says")

    def records(self, kind: type[R]) -> Iterator[R]:
        """Yield all records of a kind. Raises ``UserError`` that names the member and the line of a bad one."""
        for name in parts_of(_TABLE_OF[kind], self._members):
            lines = self._archive.whole(name, self._members[name]).split(b"\n")
            if lines.pop():
                raise UserError(f"{name} does not end with the end of a line")
            for number, line in enumerate(lines, start=1):
                try:
                    yield kind.model_validate_json(line)
                except ValidationError as error:
                    raise UserError(f"{name}, line {number}: {problem(error)}") from error

    def points(self) -> Iterator[bytes]:
        """Yield the points of all series."""
        for name in parts_of(POINTS, self._members):
            yield self._archive.whole(name, self._members[name])

    def blobs(self) -> Mapping[str, int]:
        """Return the size of each blob, by digest."""
        return self._blobs

    @cached_property
    def _blobs(self) -> dict[str, int]:
        digests = {name: digest_of(name) for name in self._members}
        return {digest: self._members[name].size for name, digest in digests.items() if digest is not None}

    def blob(self, digest: str, say: Callable[[int], None]) -> Iterator[bytes]:
        """Yield the bytes of a blob, telling ``say`` how many. Raises ``UserError`` if they have another digest."""
        name = blob_name(digest)
        for piece in self._archive.read(name, self._members[name]):
            say(len(piece))
            yield piece


def problem(error: ValidationError) -> str:
    """Return the first thing that is wrong, with its field."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else str(first["msg"])


def _manifest(text: bytes) -> Manifest:
    try:
        document: Any = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise UserError(f"{MANIFEST} is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(f"{MANIFEST} is not that of a bundle of Modelyard")
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise UserError(f"it was made by a newer Modelyard (format {version}; this one reads {VERSION}): upgrade first")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{MANIFEST}: {problem(error)}") from error
