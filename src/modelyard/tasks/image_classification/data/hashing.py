"""An unambiguous SHA-256 over names, labels and contents."""

import hashlib
from collections.abc import Iterable


class Hasher:
    """SHA-256 over a list of byte strings; each is preceded by its length, so no two lists look the same."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, *parts: str | bytes | memoryview) -> None:
        """Add byte strings (text as UTF-8; undecodable file names by their bytes)."""
        for part in parts:
            data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            self._sha256.update(memoryview(data).nbytes.to_bytes(8, "little"))
            self._sha256.update(data)

    def add_all(self, parts: Iterable[str | bytes]) -> None:
        """Add every byte string of an iterable."""
        for part in parts:
            self.add(part)

    def hexdigest(self) -> str:
        """Return the digest so far, in hex."""
        return self._sha256.hexdigest()
