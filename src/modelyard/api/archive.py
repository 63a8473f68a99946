"""A checkpoint as one zip archive, made while it is sent: nothing is copied to the disk first."""

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from modelyard.api.checkpoints import verify_file
from modelyard.domain.checkpoint import Checkpoint
from modelyard.store import Store

_PIECE = 1 << 20


class _Sink:
    """A file that only remembers what was written since the last look."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing to flush."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def checkpoint_archive(store: Store, checkpoint: Checkpoint) -> Iterator[bytes]:
    """Return the pieces of a zip archive with a checkpoint's files, uncompressed: weights do not shrink.

    Every file is checked first, and open from then on, so that it cannot vanish. Raises ``CorruptBlobError`` for a
    damaged one, ``NotFoundError`` for one that is gone.
    """
    cleanup = ExitStack()
    files: dict[str, BinaryIO] = {}
    try:
        for name, blob in checkpoint.files.items():
            files[Path(name).name] = cleanup.enter_context(store.blobs.open(blob.digest))
            verify_file(store, checkpoint, name, blob.digest)
    except BaseException:
        cleanup.close()
        raise
    return _pieces(files, cleanup)


def _pieces(files: dict[str, BinaryIO], cleanup: ExitStack) -> Iterator[bytes]:
    sink = _Sink()
    with cleanup, zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, file in files.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
                while piece := file.read(_PIECE):
                    target.write(piece)
                    yield sink.take()
    yield sink.take()
