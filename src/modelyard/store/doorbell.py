"""A cheap way to tell the engines on this machine that there is something to look at.

Reading it costs about 100 ns, so an engine can look before every step and query the database only after a change. It is
a hint for speed: engines on other machines (PostgreSQL) do not hear it, so everyone also looks from time to time.
"""

import mmap
import os
import secrets
from pathlib import Path

from modelyard.store.home import translated_os_errors

_BYTES = 8


class Doorbell:
    """Eight bytes in the home folder that are different after every ring. Threads and processes may share it.

    Where the home cannot be written, nobody hears it.
    """

    def __init__(self, path: Path, *, silent: bool = False) -> None:
        self._map = mmap.mmap(-1, _BYTES) if silent else self._open(path)
        self._view = memoryview(self._map).cast("Q")

    @staticmethod
    def _open(path: Path) -> mmap.mmap:
        with translated_os_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(descriptor).st_size < _BYTES:
                    # Written, not extended: a hole could not be filled on a full disk, and touching it would be fatal.
                    os.pwrite(descriptor, secrets.token_bytes(_BYTES), 0)
                return mmap.mmap(descriptor, _BYTES)
            finally:
                os.close(descriptor)

    def value(self) -> int:
        """Return a number that differs from the one before each ring since."""
        return self._view[0]

    def ring(self) -> None:
        """Tell all who look that something changed. Random, so that two who ring at once cannot undo each other."""
        self._view[0] = secrets.randbits(8 * _BYTES)

    def close(self) -> None:
        """Release the memory map."""
        self._view.release()
        self._map.close()
