"""One engine process, as the agent sees it: started, watched, asked to end."""

import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.agent.devices import missing_module_error
from modelyard.agent.warm_engines import WarmEngines, start_engine
from modelyard.domain.errors import ModelyardError
from modelyard.domain.plan import Group
from modelyard.store.home import translated_os_errors

LAST_LINES = 5


@dataclass
class EngineProcess:
    """A running ``modelyard.engine.worker``. It ends by itself when this process dies: its input closes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        return self.process.poll()

    def ask_to_end(self) -> None:
        """Have it save and queue its runs, and end."""
        if self.exit_code() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        if self.exit_code() is None:
            self.process.kill()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end; return whether it came within ``timeout`` seconds."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Close its input."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def describe_end(self) -> str:
        """Return one sentence on how it ended, with the last lines of its log."""
        code = self.exit_code()
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                how += " (killed by someone, or by the system for lack of memory)"
        else:
            how = f"ended with exit code {code}"
        lines = self._last_lines()
        return f"the engine process {how}" + (f": {' | '.join(lines)}" if lines else "")

    def startup_error(self) -> ModelyardError | None:
        """Return the error for a process that could not even start."""
        return missing_module_error("\n".join(self._last_lines()))

    def _last_lines(self) -> list[str]:
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4096))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-LAST_LINES:]


@dataclass(frozen=True, kw_only=True)
class EngineCommand:
    """How an engine process is started."""

    home: Path
    variables: Callable[[], Mapping[str, str]]
    """Handed over in the environment, never on the command line: it may hold a password."""
    experiment_id: str | None
    agent_id: str | None = None
    """The worker id of whoever starts it."""
    extra: tuple[str, ...] = field(default=())

    def start(self, group: Group, log: Path, warm: WarmEngines | None = None) -> EngineProcess:
        """Start one process for ``group``, one of those that wait if there is one; its output goes to ``log``.

        The folder of ``log`` exists. Raises ``StorageFullError``, ``StoreError``.
        """
        arguments = [
            f"--home={self.home}",
            *([f"--execution={group.execution.value}"] if group.execution is not None else []),
            f"--slots={group.slots}",
            f"--device={group.device}",
            *([f"--processes={group.processes}"] if group.processes > 1 else []),
            f"--reason={group.reason}",
            *(f"--structure={structure}" for structure in group.structures),
            *([f"--experiment={self.experiment_id}"] if self.experiment_id else []),
            *([f"--agent={self.agent_id}"] if self.agent_id else []),
            *self.extra,
        ]
        with translated_os_errors(log):
            output = log.open("ab")
        variables = self.variables()
        with output:
            if warm is not None:
                taken = warm.take(arguments, threads=group.threads, variables=variables, log=log)
                if taken is not None:
                    return EngineProcess(taken, log)
            started = start_engine(arguments, threads=group.threads, variables=variables, output=output)
            return EngineProcess(started, log)
