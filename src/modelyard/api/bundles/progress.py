"""How far an export or import is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how many bytes are done, and how many there are in all."""


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


class Counter:
    """Adds up bytes that are done."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, count: int) -> None:
        """Tell that so many more are done."""
        self._done += count
        self._progress(self._done, self._total)
