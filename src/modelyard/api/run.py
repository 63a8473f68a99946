"""``Run``: one run, from Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from modelyard.agent.predictor import Prediction, predict
from modelyard.api.artifacts import read_artifact
from modelyard.api.checkpoints import best_or_last, export_checkpoint, find_checkpoint
from modelyard.api.cloning import clone, tuned_spec
from modelyard.api.operations import DEFAULT_TIMEOUT, Outcome, check, request, settle
from modelyard.api.waiting import wait_until_over
from modelyard.api.who import actor
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.config import RunSpec
from modelyard.domain.control import ControlOp, Pause, Resume, SetPriority, Stop, Tune
from modelyard.domain.run import Reason, RunState
from modelyard.domain.run import Run as RunRecord
from modelyard.domain.validation import validate
from modelyard.store import Store, open_store


@dataclass(frozen=True, eq=False)
class History:
    """Every point of one metric of a run; all arrays have the same length."""

    name: str
    steps: NDArray[np.int64]
    """Optimizer steps."""
    values: NDArray[np.float64]
    times: NDArray[np.float64]
    """Seconds since 1970 (UTC)."""

    def __len__(self) -> int:
        return len(self.steps)


class Run:
    """A run in a home. Properties read the store each time, so they are always current."""

    def __init__(self, ref: str, *, home: Path | str | None = None, store: Store | None = None) -> None:
        """Find a run by name, id or the start of an id. Raises ``NotFoundError`` with the nearest name."""
        self._store = store or open_store(home)
        try:
            found = self._store.runs.get(ref)
        except BaseException:
            if store is None:
                self._store.close()
            raise
        self.id: str = found.id
        self.name: str = found.name

    def __repr__(self) -> str:
        return f"<Run {self.name} {self.state.value}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    # What it is.

    @property
    def record(self) -> RunRecord:
        """A snapshot of everything about the run."""
        settle(self._store)
        return self._store.runs.get(self.id)

    @property
    def state(self) -> RunState:
        """Where the run is in its life."""
        return self.record.state

    @property
    def reason(self) -> Reason:
        """Why it is there."""
        return self.record.reason

    @property
    def spec(self) -> RunSpec:
        """The config it was created with; it never changes."""
        return self.record.spec

    @property
    def tuned_spec(self) -> RunSpec:
        """The config with every ``tune`` that took effect."""
        return tuned_spec(self._store, self.record)

    @property
    def summary(self) -> Mapping[str, float]:
        """The last value of each metric."""
        return self.record.summary

    def metrics(self) -> list[str]:
        """Return the names of its metrics."""
        return self._store.metrics.names(self.id)

    def history(self, metric: str) -> History:
        """Return every point of a metric, as the run counts them now (what a resume redid is there once)."""
        series = self._store.metrics.history(self.id, metric)
        return History(metric, series.steps, series.values, series.times)

    def logs(self, *, last: int | None = None) -> list[str]:
        """Return its log lines, or the newest ``last`` of them."""
        if last is not None:
            return [line.text for line in self._store.logs.tail(self.id, last)]
        lines: list[str] = []
        while page := self._store.logs.read(self.id, after=len(lines)):
            lines += [line.text for line in page]
        return lines

    def checkpoints(self) -> list[Checkpoint]:
        """Return its checkpoints, newest first."""
        return self._store.checkpoints.list(self.id)

    def artifacts(self) -> list[str]:
        """Return the names of its artifacts, such as ``val/confusion_matrix``."""
        return list(self._store.artifacts.list(self.id))

    def artifact(self, name: str) -> Any:
        """Return an artifact as plain JSON. Raises ``NotFoundError`` with the nearest name."""
        return read_artifact(self._store, self.id, name).content

    # What to do with it.

    def pause(self, *, timeout: float = DEFAULT_TIMEOUT) -> Outcome:
        """Save it at its next step and give the device back. Raises ``ConflictError`` if it is not live."""
        return self._ask(Pause(), timeout)

    def resume(self) -> Outcome:
        """Queue it again; ``Experiment.train`` or an agent goes on with it."""
        return self._ask(Resume(), 0)

    def stop(self, *, timeout: float = DEFAULT_TIMEOUT) -> Outcome:
        """Save it at its next step and end it."""
        return self._ask(Stop(), timeout)

    def tune(
        self,
        *,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        epochs: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Change hyperparameters while it trains. Raises ``ConfigError`` for values out of range."""
        values = {"learning_rate": learning_rate, "weight_decay": weight_decay, "epochs": epochs}
        return self._ask(validate(Tune, {name: value for name, value in values.items() if value is not None}), timeout)

    def set_priority(self, priority: int) -> Outcome:
        """Set its priority, from -100 to 100; runs with a higher one go first."""
        return self._ask(validate(SetPriority, {"priority": priority}), 0)

    def clone(
        self,
        edits: Mapping[str, Any] | None = None,
        *,
        warm_start: str | None = None,
        inherit_optimizer: bool = False,
        priority: int | None = None,
    ) -> "Run":
        """Queue a new run with this one's config and ``edits`` (``{"optimizer.learning_rate": 0.01}``).

        ``warm_start`` is ``last``, ``best``, a step, or a checkpoint's id.
        """
        cloned = clone(
            self._store,
            self.record,
            edits or {},
            warm_start=warm_start,
            inherit_optimizer=inherit_optimizer,
            priority=priority,
            actor=actor(),
        )
        return Run(cloned.run.id, store=self._store)

    def delete(self) -> None:
        """Delete it with everything it owns. Raises ``ConflictError`` while it is in training."""
        settle(self._store)
        self._store.runs.delete(self.id, actor=actor())

    def wait(self, *, timeout: float | None = None) -> Self:
        """Wait until it is completed, failed, stopped or paused; raises ``TimeoutError`` after ``timeout`` seconds."""
        wait_until_over(self._store, lambda: [self._store.runs.get(self.id)], timeout=timeout)
        return self

    def predict(self, files: Sequence[Path | str], *, checkpoint: str | None = None, top: int = 5) -> list[Prediction]:
        """Classify image files with its best checkpoint, or another: ``last``, ``best``, a step, an id."""
        found = best_or_last(self._store, self.id) if checkpoint is None else self.checkpoint(checkpoint)
        return predict(self._store, found, [Path(file) for file in files], top=top)

    def checkpoint(self, which: str = "best") -> Checkpoint:
        """Return one of its checkpoints: ``last``, ``best``, a step, or an id. Raises ``NotFoundError``."""
        return find_checkpoint(self._store, self.id, which)

    def export_checkpoint(self, folder: Path | str, which: str = "best") -> list[Path]:
        """Copy a checkpoint's files into a new folder and return their paths."""
        return export_checkpoint(self._store, self.checkpoint(which), Path(folder))

    def close(self) -> None:
        """Close the connection to the store; not for a run that an ``Experiment`` handed out."""
        self._store.close()

    def _ask(self, op: ControlOp, timeout: float) -> Outcome:
        outcomes = request(self._store, [f"run:{self.id}"], op, actor=actor(), timeout=timeout)
        check(outcomes)
        return outcomes[0]
