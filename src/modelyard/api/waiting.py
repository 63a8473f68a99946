"""Waits until runs are over."""

import time
from collections.abc import Callable, Sequence

from modelyard.api.operations import settle
from modelyard.api.progress import is_over
from modelyard.domain.run import Run
from modelyard.store import LeaseObserver, Store

_POLL_SECONDS = 0.1


def wait_until_over(store: Store, read: Callable[[], Sequence[Run]], *, timeout: float | None) -> None:
    """Wait until all runs are final or paused. Raises ``TimeoutError`` after ``timeout`` seconds (None: never)."""
    deadline = None if timeout is None else time.monotonic() + timeout
    observer = LeaseObserver()
    while True:
        settle(store, observer)
        left = [run for run in read() if not is_over(run)]
        if not left:
            return
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"not over after {timeout:g} s: {', '.join(run.name for run in left)}")
        time.sleep(_POLL_SECONDS)
