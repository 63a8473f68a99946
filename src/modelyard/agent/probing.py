"""Measures ways of training in child processes, as many at the same time as would train."""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from modelyard.agent.json_child import JsonChild
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import MissingExtraError, ModelyardError
from modelyard.domain.measurement import Way

_MODULE = "modelyard.engine.probe"
START_SECONDS = 120.0
"""Longest time that a process may take to start."""
ANSWER_SECONDS = 120.0
"""Longest time that one answer may take: opening data, building models, compiling, or measuring steps."""

MOST_IN_TURNS = 4
"""How many runs take turns in a rehearsal; more would tell no more."""

Json = dict[str, Any]


class ProbeError(ModelyardError):
    """A way of training could not be measured; the message says why. Others can be."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was found when the data of runs were opened and one model was built."""

    seconds: float
    start_seconds: float
    steps_per_epoch: int
    samples: dict[str, int]
    parameters: int
    cannot_stack: str


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What was measured of one way. Of several processes, the slowest counts."""

    seconds: float
    steps: int
    peak_bytes: int | None
    weight_bytes: int
    optimizer_bytes: int
    evaluation_seconds: float | None
    compile_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What real training did in a moment, in one process."""

    seconds: float
    steps: int
    """Of all runs together."""
    evaluated: int
    """Samples that were evaluated, for all runs together."""


class Prober:
    """Processes that take steps of runs and keep nothing. A context manager; they start when they are needed.

    A process that dies or takes too long fails what was being measured, and new ones are started for the rest.
    """

    def __init__(self, *, device: str, threads: int, processes: int, code: Mapping[str, str] | None = None) -> None:
        """``code`` has the texts of code of the user's own by its digest."""
        self._device = device
        self._code = dict(code or {})
        self._processes = processes
        self._scratch = tempfile.TemporaryDirectory(prefix="modelyard-plan-")
        self._environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "TORCHINDUCTOR_CACHE_DIR": self._scratch.name,  # so that compiling is measured, and leaves nothing behind
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
        }
        self._children: list[JsonChild] = []
        self._start_seconds = 0.0
        self._opened: RunSpec | None = None

    def open(self, spec: RunSpec) -> Opened:
        """Open the data of runs like ``spec``, in all processes at the same time. Raises ``ProbeError``."""
        self._opened = None
        own = None if spec.user_code is None else self._code.get(spec.user_code.code or "")
        request = {"open": spec.model_dump(mode="json"), "device": self._device, "source": own}
        answers = self._ask(self._processes, request, "opened")
        self._opened = spec
        slowest = max(answers, key=lambda answer: float(answer["seconds"]))
        return Opened(start_seconds=self._start_seconds, **slowest)

    def measure(self, specs: Sequence[RunSpec], way: Way, *, evaluate: bool = False) -> Probed:
        """Take steps of ``way.members`` of these runs. Raises ``ProbeError``, ``MissingExtraError``."""
        if not self._children and self._opened is not None:
            self.open(self._opened)  # after a process died
        members = [spec.model_dump(mode="json") for spec in _spread(specs, way.members)]
        prepared = self._ask(way.processes, {"prepare": members, "compiled": way.compiled}, "prepared")
        answers = self._ask(way.processes, {"go": True, "evaluate": evaluate}, "measured")
        slowest = max(answers, key=lambda answer: float(answer["seconds"]))
        return Probed(**slowest, compile_seconds=prepared[0]["compile_seconds"])

    def rehearse(self, specs: Sequence[RunSpec], way: Way, *, together: int) -> list[Rehearsed]:
        """Train some of these runs in each process for a moment, and keep nothing. Raises ``ProbeError``.

        Those are a stack, or up to ``together`` that take turns.
        """
        count = way.members if way.members > 1 else min(together, MOST_IN_TURNS)
        members = [spec.model_dump(mode="json") for spec in _spread(specs, count)]
        answers = self._ask(way.processes, {"rehearse": members, "stacked": way.members > 1}, "rehearsed")
        return [Rehearsed(**answer) for answer in answers]

    def _ask(self, processes: int, request: Json, expected: str) -> list[Json]:
        """Have the first ``processes`` children do the same at the same time; return their answers."""
        self._start()
        asked = self._children[:processes]
        for child in asked:
            child.send(request)
        answers = [self._receive(child, ANSWER_SECONDS) for child in asked]
        failed = next((answer["failed"] for answer in answers if "failed" in answer), None)
        if failed is not None:
            self._forget_prepared(answers)
            raise ProbeError(str(failed))
        return [answer[expected] for answer in answers]

    def _forget_prepared(self, answers: Sequence[Json]) -> None:
        """A process that is ready while another failed would hold its learners beside the next ones: start anew."""
        if any("prepared" in answer for answer in answers):
            self._end()

    def _start(self) -> None:
        if self._children:
            return
        start = time.monotonic()
        self._children = [JsonChild(_MODULE, environment=self._environment) for _ in range(self._processes)]
        for child in self._children:
            self._receive(child, START_SECONDS)
        self._start_seconds = time.monotonic() - start

    def _receive(self, child: JsonChild, seconds: float) -> Json:
        try:
            answer = child.receive(seconds)
        except TimeoutError as error:
            self._end()
            raise ProbeError(f"it took longer than {seconds:.0f} s") from error
        if answer is not None:
            return answer
        failure = child.failure()
        self._end()
        if isinstance(failure, MissingExtraError):
            raise failure
        raise ProbeError(f"its process {str(failure).removeprefix(f'{_MODULE} ')}")

    def _end(self) -> None:
        for child in self._children:
            child.close()
        self._children = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._scratch.cleanup()


class NoProber(Prober):
    """Measures nothing: what was not measured before stays unknown."""

    def _ask(self, processes: int, request: Json, expected: str) -> list[Json]:
        del processes, request, expected
        raise ProbeError("not measured yet")


def _spread(specs: Sequence[RunSpec], count: int) -> list[RunSpec]:
    """Return ``count`` configs, evenly from all of them; some several times where there are fewer."""
    return [specs[index * len(specs) // count] for index in range(count)]
