"""Rows of numbers that were computed once: in memory as far as there is room, and in a file for other processes.

A file is written in blocks, and the SHA-256 of a block after the block itself: what was only half written, or damaged
since, does not match and is computed again. All who write a file write the same bytes.
"""

import hashlib
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.domain.errors import StoreError
from modelyard.store.home import translated_os_errors

BLOCK = 32
"""Rows that are computed together. Always the same ones: what is computed may depend on its neighbours' number."""
_DIGEST = 32
_FILES = ("rows", "digests")

Rows = np.ndarray[Any, np.dtype[np.uint8]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


class FeatureRows:
    """``count`` rows of ``row_bytes`` each; the first ``kept`` are held in memory.

    ``folder`` gets two files, ``name.rows`` and ``name.digests``; None keeps all rows in memory alone. Where all are in
    memory, a disk that cannot be written is no failure.
    """

    def __init__(self, folder: Path | None, name: str, *, count: int, row_bytes: int, kept: int) -> None:
        assert folder is not None or kept >= count
        self.count = count
        self.row_bytes = row_bytes
        # Pages of an empty array take no memory until they are written.
        self._kept: Rows = np.empty((min(kept, count), row_bytes), dtype=np.uint8)
        self._folder = folder
        self._files: tuple[int, int] | None = None
        if folder is not None:
            self._open(folder, name)

    @property
    def blocks(self) -> int:
        """How many blocks there are. A last one of a single row joins the one before: it may round differently."""
        full, rest = divmod(self.count, BLOCK)
        return full + (rest > 1) or int(self.count > 0)

    def span(self, block: int) -> range:
        """Return the numbers of a block's rows."""
        return range(block * BLOCK, self.count if block == self.blocks - 1 else (block + 1) * BLOCK)

    def load(self, block: int) -> bool:
        """Take a block from the file; return whether it was there, whole."""
        if self._files is None:
            return False
        rows, digests = self._files
        span = self.span(block)
        try:
            data = os.pread(rows, len(span) * self.row_bytes, span.start * self.row_bytes)
            digest = os.pread(digests, _DIGEST, block * _DIGEST)
        except OSError:
            return False
        if hashlib.sha256(data).digest() != digest:
            return False
        self._keep(span, np.frombuffer(data, dtype=np.uint8).reshape(len(span), self.row_bytes))
        return True

    def store(self, block: int, rows: Rows) -> None:
        """Take a block, uint8 [rows, row_bytes]. Raises ``StorageFullError`` or ``StoreError`` if it has no place."""
        span = self.span(block)
        assert rows.shape == (len(span), self.row_bytes)
        self._keep(span, rows)
        if self._folder is None or self._files is None:
            return
        try:
            with translated_os_errors(self._folder):
                data = rows.tobytes()
                _write(self._files[0], data, span.start * self.row_bytes)
                _write(self._files[1], hashlib.sha256(data).digest(), block * _DIGEST)
        except StoreError:
            if len(self._kept) < self.count:
                raise

    def take(self, numbers: Indices) -> Rows:
        """Return a copy of some rows, uint8 [len(numbers), row_bytes]. Raises ``StoreError`` if the file was cut."""
        if len(self._kept) == self.count:
            return self._kept[numbers]
        result = np.empty((len(numbers), self.row_bytes), dtype=np.uint8)
        here = numbers < len(self._kept)
        result[here] = self._kept[numbers[here]]
        for place in np.flatnonzero(~here):
            result[place] = self._read(int(numbers[place]))
        return result

    def _open(self, folder: Path, name: str) -> None:
        try:
            with translated_os_errors(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                rows, digests = (
                    os.open(folder / f"{name}.{kind}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for kind in _FILES
                )
        except StoreError:
            if len(self._kept) < self.count:
                raise
            return
        self._files = (rows, digests)
        for descriptor in self._files:
            weakref.finalize(self, os.close, descriptor)

    def _keep(self, span: range, rows: Rows) -> None:
        here = max(0, min(span.stop, len(self._kept)) - span.start)
        self._kept[span.start : span.start + here] = rows[:here]

    def _read(self, number: int) -> Rows:
        assert self._files is not None
        data = os.pread(self._files[0], self.row_bytes, number * self.row_bytes)
        if len(data) != self.row_bytes:
            raise StoreError(f"{self._folder}: a file of computed features was cut short; delete the folder")
        return np.frombuffer(data, dtype=np.uint8)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of ``data``: a nearly full disk takes less at once than it was given."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
