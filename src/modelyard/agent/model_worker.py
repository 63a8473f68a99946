"""A process with models in memory, for as long as somebody asks it: nothing that imports torch runs here."""

import threading
from typing import Any

from modelyard.agent.child_environment import child_environment
from modelyard.agent.json_child import JsonChild
from modelyard.domain import errors
from modelyard.domain.errors import ModelyardError
from modelyard.store import Store

MOST_MODELS = 4
"""So many models are in memory at a time."""
IDLE_SECONDS = 300.0
"""The process ends when nobody has asked it for so long."""
ANSWER_SECONDS = 600.0
"""One that has not answered after so long is ended."""
_MODULE = "modelyard.engine.model_service"
Json = dict[str, Any]


class ModelWorker:
    """Starts the process when it is first asked, and again if it died. Threads may share it: they take turns."""

    def __init__(self, store: Store, *, idle_seconds: float = IDLE_SECONDS, most: int = MOST_MODELS) -> None:
        self._store = store
        self._idle_seconds = idle_seconds
        self._most = most
        self._lock = threading.Lock()
        self._child: JsonChild | None = None
        self._timer: threading.Timer | None = None
        self._how_it_ended = ModelyardError("")
        self._closed = False
        self.restarts = 0
        """How often the process had died when it was asked, so that another one was started."""

    @property
    def pid(self) -> int | None:
        """The process id, while there is one."""
        child = self._child
        return None if child is None else child.pid

    def ask(self, request: Json) -> Json:
        """Return the answer. Raises what the process raised, or ``ModelyardError`` if it dies of this very request."""
        with self._lock:
            self._stop_timer()
            was_there = self._child is not None
            content = self._answer(request)
            if content is None and was_there and not self._closed:
                self.restarts += 1
                content = self._answer(request)
            if content is None:
                raise self._how_it_ended
            self._timer = threading.Timer(self._idle_seconds, self._rest)
            self._timer.daemon = True
            self._timer.start()
        if "failed" in content:
            raise errors.rebuild(content["failed"]["kind"], content["failed"]["message"])
        return content

    def close(self) -> None:
        """End for good, also in the middle of an answer."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()
        self._rest()

    def _rest(self) -> None:
        """End the process, if there is one; the next request starts another."""
        with self._lock:
            self._stop_timer()
            self._end()

    def _answer(self, request: Json) -> Json | None:
        """Return the answer; None if the process had died, or did instead of answering."""
        child = self._child or self._start()
        child.send(request)
        try:
            content = child.receive(ANSWER_SECONDS)
        except TimeoutError as error:
            self._end()
            raise ModelyardError(
                f"the models did not answer within {ANSWER_SECONDS:.0f} s; try fewer images"
            ) from error
        if content is None:
            self._how_it_ended = child.failure()
            self._end()
        return content

    def _start(self) -> JsonChild:
        if self._closed:
            raise ModelyardError("the server is ending")
        self._child = JsonChild(_MODULE, environment=child_environment(self._store.child_variables()))
        self._child.send({"home": str(self._store.home.path), "most": self._most})
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
