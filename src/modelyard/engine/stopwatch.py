"""Seconds spent at something that is interrupted now and then."""

import time


class Stopwatch:
    """Seconds in which it was running, by the monotonic clock."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def start(self) -> None:
        """Count from now on."""
        if self._since is None:
            self._since = time.monotonic()

    def stop(self) -> None:
        """Count no more."""
        self._total = self.seconds()
        self._since = None

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self._total + (0.0 if self._since is None else time.monotonic() - self._since)

    def restart(self) -> float:
        """Return the seconds so far and count from 0 again."""
        seconds = self.seconds()
        self._total = 0.0
        if self._since is not None:
            self._since = time.monotonic()
        return seconds
