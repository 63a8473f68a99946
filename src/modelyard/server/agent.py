"""Keeps an agent alive beside the server: a process of its own, so that neither takes the other along."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from modelyard.agent.child import command
from modelyard.agent.child_environment import child_environment
from modelyard.agent.presence import home_agent
from modelyard.store import Store, WorkerInfo

LOOK_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
_LOG = "agent"
END_SECONDS = 40.0
"""So long an agent has to let its engines save their runs."""


class AgentKeeper:
    """A context manager: while it is open, some process trains what is queued in the home."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self.trouble = ""
        """Why the last agent ended by itself; empty while one lives."""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="agent-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        elif (adopted := home_agent(self._store)) is not None:
            self._end(adopted)

    def _end(self, agent: WorkerInfo) -> None:
        """End the agent that a server before this one left behind: only servers start agents of a whole home."""
        with suppress(ProcessLookupError):
            os.kill(agent.pid, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline and home_agent(self._store) is not None:
            time.sleep(LOOK_SECONDS / 10)

    def _keep(self) -> None:
        pause = LOOK_SECONDS
        while not self._done.wait(pause):
            if self._process is not None and self._process.poll() is None:
                pause = LOOK_SECONDS
                self.trouble = ""
                continue
            ended = self._process is not None
            if ended:
                self.trouble = self._why()
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2) if ended else LOOK_SECONDS
            if home_agent(self._store) is None:
                self._start()

    def _why(self) -> str:
        assert self._process is not None
        number = self._process.returncode
        how = f"was killed by signal {-number}" if number < 0 else f"ended with exit code {number}"
        lines = self._store.home.worker_log(_LOG).read_text(errors="replace").splitlines()
        return f"the agent {how}" + (f": {lines[-1]}" if lines else "")

    def _start(self) -> None:
        home = self._store.home
        with home.worker_log(_LOG).open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command("modelyard.api.home_agent"), "--home", str(home.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(self._store.child_variables()),
                start_new_session=True,  # Ctrl-C in a terminal is for the server, which ends the agent in its turn
            )
