"""Does what is asked for twice only once: a double click, or a request that is sent again since no answer came."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")
_MOST_KEPT = 1_000


class Once(Generic[Result]):
    """Results by the key that a client chose, for as long as the server runs. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, Future[Result]] = OrderedDict()

    def do(self, key: str, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, or what the first call with this key did; what failed is done anew."""
        with self._lock:
            found = self._begun.get(key)
            mine = found or Future()
            if found is None:
                self._begun[key] = mine
                while len(self._begun) > _MOST_KEPT:
                    self._begun.popitem(last=False)
        if found is None:
            self._run(key, mine, work)
        return mine.result()

    def _run(self, key: str, future: Future[Result], work: Callable[[], Result]) -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            with self._lock:
                self._begun.pop(key, None)
            future.set_exception(error)
            raise
