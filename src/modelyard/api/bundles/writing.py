"""Writes the members of a bundle one after the other, and notes what each is."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import BinaryIO, Self

from modelyard.api.bundles.layout import MANIFEST, MOST_PART_BYTES, PART_BYTES, Manifest, Member, blob_name, part_name
from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.errors import CorruptBlobError, StoreError
from modelyard.store.bundles import POINTS
from modelyard.store.bundles.records import Record

_WORTH_IT = 0.9
_MOST_RATIO = 50
"""What would deflate to less than this is stored as it is: a reader would take it for a bomb."""


class BundleWriter:
    """A zip archive in the making; a context manager. The manifest comes last, since it has the hashes of the rest."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file, "w")
        self.members: dict[str, Member] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the directory; after an error only if that can be: what was begun is thrown away then."""
        with suppress(OSError, ValueError) if error is not None else nullcontext():
            self._zip.close()

    def table(self, name: str, records: Iterable[Record]) -> None:
        """Write the records of a table, one to a line, in parts."""
        self._parts(name, (record.model_dump_json().encode() + b"\n" for record in records))

    def points(self, pieces: Iterable[bytes]) -> None:
        """Write the points of all series."""
        self._parts(POINTS, pieces)

    def blob(self, blob: BlobRef, pieces: Iterable[bytes]) -> None:
        """Write a blob. Raises ``CorruptBlobError`` if its bytes are not those that it is named after."""
        name, sha256 = blob_name(blob.digest), hashlib.sha256()
        info = _info(name)
        info.file_size = blob.size  # decides how wide its numbers are
        with self._zip.open(info, "w") as member:
            for piece in pieces:
                sha256.update(piece)
                member.write(piece)
        if f"sha256:{sha256.hexdigest()}" != blob.digest or info.file_size != blob.size:
            raise CorruptBlobError(
                blob.digest,
                f"the blob {blob.digest} is damaged, so nothing was exported; to leave it out: --checkpoints none",
            )
        self.members[name] = Member(sha256=sha256.hexdigest(), size=blob.size)

    def manifest(self, manifest: Manifest) -> None:
        """Write the manifest."""
        self._write(MANIFEST, manifest.model_dump_json(indent=1).encode())

    def _parts(self, table: str, pieces: Iterable[bytes]) -> None:
        part, number = bytearray(), 1
        for piece in pieces:
            part += piece
            if len(part) >= PART_BYTES:
                self._write(part_name(table, number), bytes(part))
                part, number = bytearray(), number + 1
        if part:
            self._write(part_name(table, number), bytes(part))

    def _write(self, name: str, data: bytes) -> None:
        if len(data) > MOST_PART_BYTES:
            table = name.partition("/")[0]
            raise StoreError(f"a record of {table} has {len(data):,} bytes, more than a bundle can have")
        info = _info(name)
        packed = len(zlib.compress(data, 6))
        if len(data) / _MOST_RATIO < packed < _WORTH_IT * len(data):
            info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, data)
        self.members[name] = Member(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # with the same date in all: what is inside says when it was made
    info.external_attr = 0o600 << 16
    return info
