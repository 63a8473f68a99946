"""Watches one validation metric: is it the best so far, and has it stopped improving?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from modelyard.domain.parts.metrics import better_mode
from modelyard.domain.parts.training import TrainingConfig


@dataclass
class MetricWatch:
    """The best value of a metric so far, and for how many evaluations it has not improved."""

    mode: Literal["min", "max"]
    min_delta: float = 0.0
    best: float | None = None
    misses: int = 0

    def update(self, value: float) -> bool:
        """Take the next value; return whether it is the best so far. NaN never is."""
        if not math.isnan(value) and (self.best is None or self._gain(value, self.best) > self.min_delta):
            self.best, self.misses = value, 0
            return True
        self.misses += 1
        return False

    def state(self) -> dict[str, Any]:
        """Return the progress as JSON."""
        return asdict(self)

    def load(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` returned."""
        self.best, self.misses = state["best"], state["misses"]

    def _gain(self, value: float, best: float) -> float:
        return best - value if self.mode == "min" else value - best


class Judge:
    """What a run's validations mean for it. Its state in a checkpoint is ``best`` and ``patience``."""

    def __init__(self, config: TrainingConfig) -> None:
        checkpoint, self._early = config.checkpoint, config.early_stopping
        self._metric = checkpoint.metric
        self._best = MetricWatch(checkpoint.mode or better_mode(checkpoint.metric))
        self._patience: MetricWatch | None = None
        if self._early is not None:
            mode = self._early.mode or better_mode(self._early.metric)
            self._patience = MetricWatch(mode, self._early.min_delta)

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Take the metrics of a validation; return whether it is the best so far."""
        return self._best.update(metrics[self._metric])

    @property
    def watched(self) -> str | None:
        """The metric of early stopping."""
        return None if self._early is None else self._early.metric

    def why_stop(self, metrics: Mapping[str, float]) -> str:
        """Take the metrics of a validation; return why the run has to end early, or nothing."""
        if self._early is None or self._patience is None:
            return ""
        self._patience.update(metrics[self._early.metric])
        return self._why()

    def review(self, values: Sequence[float]) -> str:
        """Start over with the values of ``watched`` at every validation so far; return why the run has to end early."""
        if self._patience is not None:
            self._patience.best, self._patience.misses = None, 0
            for value in values:
                self._patience.update(value)
        return self._why()

    def _why(self) -> str:
        early = self._early
        if early is None or self._patience is None or self._patience.misses < early.patience:
            return ""
        best = "NaN every time" if self._patience.best is None else f"best {self._patience.best:.6g}"
        return f"{early.metric} has not improved for {early.patience} evaluations ({best}): ending early"

    def be_patient(self) -> None:
        """Wait for an improvement the whole time again."""
        if self._patience is not None:
            self._patience.misses = 0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"best": self._best.state(), "patience": None if self._patience is None else self._patience.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state`` returned, also of a run without early stopping: ``review`` does the rest."""
        self._best.load(state["best"])
        if self._patience is not None and state["patience"] is not None:
            self._patience.load(state["patience"])
