"""Reads a zip archive of which nothing is known: no name, size, hash or kind of a member counts before it is checked.

Nothing is ever extracted by name: members are read as streams, and each is as long, and has the hash, that the manifest
says. The whole directory is checked before a byte of a member is read.
"""

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from modelyard.api.bundles.layout import MANIFEST, MOST_MEMBERS, Member, is_member, most_bytes
from modelyard.domain.errors import UserError

PIECE = 1 << 20
MOST_RATIO = 200
"""What is deflated may not be larger than this many times what it takes; bombs are, and no bundle of ours is."""

_MOST_DIRECTORY_BYTES = 64 << 20
_END = struct.Struct("<4s4H2LH")  # signature, disks, entries here and in all, size and offset of the directory, comment
_LOCATOR = struct.Struct("<4sLQL")  # signature, disk, offset of the end record of 64 bits, number of disks
_END_64 = struct.Struct("<4sQ2H2L4Q")  # ..., entries here and in all, size and offset of the directory
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError)
"""What ``zipfile`` raises for an archive that is damaged, or made to harm."""


class Archive:
    """An open archive whose directory was checked. A context manager."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises ``UserError`` for a file that is no sound archive, ``OSError`` if it cannot be read."""
        self._file: BinaryIO = path.open("rb")
        try:
            with _told(path.name):
                _check_end(self._file)
                self._zip = zipfile.ZipFile(self._file)
                self._members = _checked(self._zip)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def sizes(self) -> Mapping[str, int]:
        """The size of each member as the directory says it; ``read`` holds it to that."""
        return {name: info.file_size for name, info in self._members.items()}

    def read(self, name: str, expected: Member | None = None) -> Iterator[bytes]:
        """Yield a member's bytes. Raises ``UserError`` as soon as they are not those that are expected, if any are."""
        info = self._members.get(name)
        if info is None:
            raise UserError(f"{name} is missing")
        sha256, size = hashlib.sha256(), 0
        with _told(name), self._zip.open(info) as member:
            while piece := member.read(PIECE):
                sha256.update(piece)
                size += len(piece)
                yield piece
        if size != info.file_size:
            raise UserError(f"{name} ends after {size:,} of {info.file_size:,} bytes")
        if expected is not None and (sha256.hexdigest(), size) != (expected.sha256, expected.size):
            raise UserError(f"{name} was changed: it does not have the hash that the manifest says")

    def whole(self, name: str, expected: Member | None = None) -> bytes:
        """Return all of a small member: its size was checked when the archive was opened."""
        return b"".join(self.read(name, expected))


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what ``zipfile`` raises into one error that says which member is bad."""
    try:
        yield
    except _BROKEN as error:
        raise UserError(f"{name} is damaged or cut off ({error or type(error).__name__})") from error


def _check_end(file: BinaryIO) -> None:
    """Look at the end of the archive before ``zipfile`` reads as much as that asks for."""
    size = file.seek(0, 2)
    if size < _END.size:
        raise UserError("this is no zip archive, or it is cut off")
    file.seek(size - _END.size)
    signature, disk, first, _, entries, length, _, comment = _END.unpack(file.read(_END.size))
    if signature != b"PK\5\6" or comment or disk or first:
        raise UserError("this is no zip archive of a bundle, or it is cut off: it does not end with its directory")
    if entries == 0xFFFF or length == 0xFFFFFFFF:
        entries, length = _end_64(file, size - _END.size)
    if entries > MOST_MEMBERS or length > _MOST_DIRECTORY_BYTES:
        raise UserError(f"it has {entries:,} members in a directory of {length:,} bytes; a bundle has fewer")


def _end_64(file: BinaryIO, end: int) -> tuple[int, int]:
    """Return the number of entries and the bytes of the directory of an archive that is too large for 32 bits."""
    if end < _LOCATOR.size:
        raise UserError("the end of the archive is damaged")
    file.seek(end - _LOCATOR.size)
    signature, _, offset, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if signature != b"PK\6\7" or offset + _END_64.size > end:
        raise UserError("the end of the archive is damaged")
    file.seek(offset)
    signature, *_, entries, length, _ = _END_64.unpack(file.read(_END_64.size))
    if signature != b"PK\6\6":
        raise UserError("the end of the archive is damaged")
    return entries, length


def _checked(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name. Raises ``UserError`` for one that no bundle has."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        _check_member(info)
        if info.filename in members:
            raise UserError(f"{info.filename} is in it twice")
        members[info.filename] = info
    if MANIFEST not in members:
        raise UserError(f"it has no {MANIFEST}, so it is no bundle of Modelyard")
    reached = 0
    for info in sorted(members.values(), key=lambda one: one.header_offset):
        if info.header_offset < reached:
            raise UserError(f"{info.filename} lies upon another member")
        reached = info.header_offset + _LOCAL_HEADER_BYTES + len(info.filename) + info.compress_size
    if reached > archive.start_dir:
        raise UserError("the archive is cut off: its members do not fit before its directory")
    return members


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if not is_member(name) or info.orig_filename != name:
        raise UserError(f"{info.orig_filename!r} is not the name of anything that a bundle has")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise UserError(f"{name} is a link or something else than a file")
    if info.flag_bits & _ENCRYPTED:
        raise UserError(f"{name} is encrypted")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise UserError(f"{name} is compressed in a way that bundles do not use")
    if info.file_size > most_bytes(name):
        raise UserError(f"{name} would have {info.file_size:,} bytes; at most {most_bytes(name):,} are read")
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        raise UserError(f"{name} says two sizes")
    if info.file_size > MOST_RATIO * max(info.compress_size, 1):
        raise UserError(f"{name} would unpack to {info.file_size:,} bytes out of {info.compress_size:,}: a zip bomb")
