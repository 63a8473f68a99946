"""Engine processes that import what they need while their runs are still being checked: that takes seconds."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from modelyard.agent.child import command
from modelyard.agent.child_environment import child_environment
from modelyard.agent.devices import cores, may_have_accelerator
from modelyard.domain.config import RunSpec
from modelyard.scheduler.planner import Wishes, make_plan

WAITS = "--waits"
"""What starts a worker that reads its arguments from the first line of its standard input."""


def start_engine(
    arguments: Sequence[str], *, threads: int, variables: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start an engine process that computes in so many threads; all that it says goes to ``output``."""
    environment = {
        **child_environment(variables),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),  # no pool of idle threads beside those that train
    }
    # In a session of its own: Ctrl-C in the terminal is for the agent alone, which decides what it means.
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*command("modelyard.engine.worker"), *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


class WarmEngines:
    """Processes that wait, one for each that the plan will have. A context manager; leaving it ends those not taken.

    One that waits knows no home, and writes nothing. It ends when its standard input closes.
    """

    def __init__(self, specs: Sequence[RunSpec], wishes: Wishes) -> None:
        self._waiting: list[tuple[int, subprocess.Popen[bytes]]] = []
        if may_have_accelerator():
            return  # what there is takes as long to find out
        for group in make_plan(specs, cores=cores(), devices=(), wishes=wishes).groups:
            process = start_engine([WAITS], threads=group.threads, variables={}, output=subprocess.DEVNULL)
            self._waiting.append((group.threads, process))

    def take(
        self, arguments: Sequence[str], *, threads: int, variables: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes] | None:
        """Have one that waits begin with these arguments, its output in ``log``; None if there is none that fits."""
        for number, (has_threads, process) in enumerate(self._waiting):
            if has_threads == threads and process.poll() is None:
                del self._waiting[number]
                return process if _begin(process, arguments, variables, log) else None
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End those that nobody took."""
        for _, process in self._waiting:
            process.kill()
            process.communicate()
        self._waiting.clear()


def _begin(process: subprocess.Popen[bytes], arguments: Sequence[str], variables: Mapping[str, str], log: Path) -> bool:
    assert process.stdin is not None
    # The variables hold passwords: they are neither arguments nor written down.
    line = json.dumps({"arguments": list(arguments), "environment": dict(variables), "log": str(log)})
    try:
        process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
    except BrokenPipeError:
        process.communicate()
        return False
    return True
