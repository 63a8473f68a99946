"""Content-addressed bytes in an OCI image layout, written so that a crash or a full disk leaves nothing half-done.

A blob is written under a temporary name and fsynced; then a *pin* that names this process is committed; only then is
the file renamed into place. The garbage collector (``gc``) deletes only under the write lock, after reading pins and
references anew. So from the commit of the pin on the blob cannot vanish, whatever the collector was about to do before:
the rename puts the bytes in place, whether or not an older copy was there. The transaction that records a reference to
the blob releases the pin. Pins of processes that died count for nothing.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.errors import ConflictError, CorruptBlobError, NotFoundError, StoreError
from modelyard.store import pins, temporary
from modelyard.store.database import Database
from modelyard.store.home import Home, translated_os_errors

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PIECE = 1 << 20
_LAYOUT = {
    "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
    "index.json": b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
}


class Blobs:
    """The blob store of a home; implements ``BlobStore``. Threads may share it."""

    def __init__(self, home: Home, database: Database) -> None:
        self.root = home.blobs
        self.folder = self.root / "blobs" / "sha256"
        self.temporary = self.root / "temporary"
        self._database = database
        if not home.is_read_only and not all((self.root / name).exists() for name in _LAYOUT):
            self._create_layout()

    def put(self, chunks: Iterable[bytes]) -> BlobRef:
        """Store a stream of bytes. When this returns, they are on the disk and pinned by this process.

        Each put is one pin, and ``pins.release`` releases one for each digest it is given. Raises
        ``StorageFullError`` or ``StoreError``, and whatever ``chunks`` raises; no part of the blob is left then.
        Must not be called inside a write transaction.
        """
        path = temporary.new_path(self.temporary)
        try:
            blob = self._write(path, chunks)
            with self._database.write() as connection:
                pins.add(connection, blob)
            with translated_os_errors(self.root):
                path.replace(self._path(blob.digest))
                _fsync_folder(self.folder)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return blob

    def put_file(self, path: Path) -> BlobRef:
        """Store a copy of a file; see ``put``. Raises ``OSError`` if it cannot be read."""
        with path.open("rb") as file:
            return self.put(iter(lambda: file.read(_PIECE), b""))

    def unpin(self, blobs: Sequence[BlobRef]) -> None:
        """Give up blobs that were put and will not be recorded, one ``put`` each. Raises ``StoreError``."""
        if blobs:
            with self._database.write() as connection:
                pins.release(connection, [blob.digest for blob in blobs])

    @contextmanager
    def held(self, blobs: Sequence[BlobRef]) -> Iterator[None]:
        """Keep blobs that are there from being collected meanwhile. Raises ``ConflictError`` if one is gone already.

        Where the home cannot be written, nothing is kept, since nobody here collects either.
        """
        held = [] if self._database.read_only else blobs
        if held:
            with self._database.write() as connection:
                pins.add(connection, *held)
        try:
            gone = next((blob for blob in blobs if not self.exists(blob.digest)), None)
            if gone is not None:
                raise ConflictError(f"the blob {gone.digest} was deleted meanwhile; try again")
            yield
        finally:
            with suppress(StoreError):  # it goes with this process at the latest
                self.unpin(held)

    @contextmanager
    def open(self, digest: str) -> Iterator[BinaryIO]:
        """Open a blob for reading. Raises ``NotFoundError``."""
        with self._reader(digest) as file:
            yield file

    def path(self, digest: str) -> Path:
        """Return the file of a blob, to be read or mapped, never to be written. Raises ``NotFoundError``."""
        path = self._path(digest)
        if not path.is_file():
            raise self._not_found(digest)
        return path

    def exists(self, digest: str) -> bool:
        """Whether the blob is there (its bytes are not checked)."""
        return self._path(digest).is_file()

    def verify(self, digest: str) -> None:
        """Re-hash a blob. Raises ``CorruptBlobError`` or ``NotFoundError``."""
        with self._reader(digest) as file, translated_os_errors(self.root):
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != f"sha256:{found}":
            raise CorruptBlobError(digest, f"the blob {digest} is damaged: its bytes have the digest sha256:{found}")

    def _path(self, digest: str) -> Path:
        """Return where a blob is or would be. Whatever ``digest`` is, the path does not leave the folder."""
        if not _DIGEST.fullmatch(digest):
            raise NotFoundError(f"{digest!r} is not the digest of a blob; one looks like sha256:<64 hex digits>")
        return self.folder / digest.removeprefix("sha256:")

    def _reader(self, digest: str) -> BufferedReader:
        with translated_os_errors(self.root):
            try:
                return self._path(digest).open("rb")
            except FileNotFoundError as error:
                raise self._not_found(digest) from error

    def _not_found(self, digest: str) -> NotFoundError:
        return NotFoundError(f"the blob {digest} is not in {self.root}")

    def _write(self, path: Path, chunks: Iterable[bytes]) -> BlobRef:
        sha256, size = hashlib.sha256(), 0
        with translated_os_errors(self.root):
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "wb", buffering=0)
        with file:
            for chunk in chunks:
                sha256.update(chunk)
                size += len(chunk)
                with translated_os_errors(self.root):
                    _write_all(file, chunk)
            with translated_os_errors(self.root):
                os.fsync(file.fileno())
        return BlobRef(digest=f"sha256:{sha256.hexdigest()}", size=size)

    def _create_layout(self) -> None:
        with translated_os_errors(self.root):
            for folder in (self.folder, self.temporary):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, content in _LAYOUT.items():
                path = temporary.new_path(self.temporary)
                try:
                    path.write_bytes(content)
                    path.replace(self.root / name)
                except OSError:
                    path.unlink(missing_ok=True)
                    raise


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    rest = memoryview(chunk).cast("B")
    while len(rest):
        rest = rest[file.write(rest) :]


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
