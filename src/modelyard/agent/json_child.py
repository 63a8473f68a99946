"""A child process of ours that reads JSON objects, one a line, and answers with JSON objects, one a line."""

import json
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from modelyard.agent.child import command
from modelyard.agent.devices import missing_module_error
from modelyard.domain.errors import ModelyardError

Json = dict[str, Any]


class JsonChild:
    """Runs a module of ours. A context manager; leaving it ends the process. Other lines it prints are ignored."""

    def __init__(self, module: str, *, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        # A file for its errors, not a pipe: a full pipe that nobody reads yet would stop it for ever.
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when this is left
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=None if environment is None else dict(environment),
        )
        self._lines: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"read {module}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self._lines.put(json.loads(line))
        self._lines.put(None)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, request: Json) -> None:
        """Write one request. A process that has ended takes none; ``receive`` tells."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{json.dumps(request)}\n")
            self._process.stdin.flush()

    def end_requests(self) -> None:
        """Let it know that there are no more requests."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def receive(self, timeout: float | None = None) -> Json | None:
        """Wait for its next answer; None once it has ended. Raises ``TimeoutError`` after ``timeout`` seconds."""
        try:
            answer = self._lines.get(timeout=timeout)
        except queue.Empty as error:
            raise TimeoutError from error
        if answer is None:
            self._lines.put(None)  # whoever asks again gets the same
        return answer

    def answers(self) -> Iterator[Json]:
        """Yield its answers until it ends."""
        while (answer := self.receive()) is not None:
            yield answer

    def failure(self) -> ModelyardError:
        """Wait for its end, and return the error that says how it ended: its last words, or the signal."""
        code = self._process.wait()
        self._stderr.seek(0)
        text = self._stderr.read()
        lines = text.strip().splitlines()
        how = f"by {signal.Signals(-code).name}" if code < 0 else lines[-1] if lines else f"with exit code {code}"
        return missing_module_error(text) or ModelyardError(f"{self._module} ended unexpectedly: {how}")

    def kill(self) -> None:
        """Have it end at once; another thread may be waiting for its answer."""
        self._process.kill()

    def close(self) -> None:
        """End it at once."""
        self.kill()
        self._process.wait()
        self.end_requests()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
