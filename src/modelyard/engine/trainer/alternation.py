"""A loop that belongs to somebody else, in a thread that runs only while it is waited for."""

import threading
from collections.abc import Callable


class Abandoned(BaseException):
    """Raised inside the loop when it is given up; no ``except Exception`` on its way out catches it."""


class Alternation:
    """Strict alternation: ``advance`` lets the loop run until it hands control back, and then the loop waits."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._given_up = False
        self.ended = False
        """Whether the loop came to its end, or failed."""

    def advance(self) -> None:
        """Let the loop run until it hands back or ends; raise what it raised."""
        assert not self.ended
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="trainer", daemon=True)
            self._thread.start()
        self._go.release()
        self._back.acquire()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def hand_back(self) -> None:
        """In the loop: let ``advance`` return, and wait for the next one."""
        self._back.release()
        self._go.acquire()
        if self._given_up:
            raise Abandoned

    def close(self) -> None:
        """Give the loop up where it is."""
        if self._thread is None or self.ended:
            return
        self._given_up = True
        self._go.release()
        self._thread.join()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._work()
        except Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again where the loop is waited for
            self._error = error
        finally:
            self.ended = True
            self._back.release()
