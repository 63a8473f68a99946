"""What the live views show of an experiment: one row per run, every number measured."""

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.api.tuned import total_epochs, tuned_fields
from modelyard.domain.plan import Execution
from modelyard.domain.run import ACTIVE, FINAL, Run, RunState
from modelyard.store import Store

_CURVE_BUCKETS = 24
_CURVE_SECONDS = 1.0
_RATE_WINDOW_SECONDS = 30.0
_RATE_MINIMUM_SECONDS = 2.0
QUIET_SECONDS = 60.0
"""A process that moves none of its runs for so long is told of, and left alone."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run as a live view shows it; None means that it is not known (yet)."""

    run: Run
    epochs: int | None
    """Number of epochs in all, raised by ``tune`` or not; a trainer's own only once it was made."""
    fraction: float | None
    """Share of the optimizer steps that are done."""
    curve: tuple[float, ...]
    """Training loss, oldest first, at most 24 values."""
    metric: str | None
    """The validation metric that the view shows."""
    value: float | None
    """Its last value."""
    samples_per_second: float | None
    eta_seconds: float | None
    """Time to its end, or to where it waits for its search, at the pace of the last 30 seconds."""
    quiet_seconds: float | None = None
    """For how long its process has not moved any of its runs, where that is long."""

    @property
    def epoch_text(self) -> str:
        """Whole epochs done, of how many: ``3/40``."""
        return f"{self.run.epoch}/{'-' if self.epochs is None else self.epochs}"

    @property
    def quiet(self) -> str:
        """What to tell people if nothing moves; else empty."""
        if self.quiet_seconds is None:
            return ""
        compiling = "compiling, " * (self.run.execution == Execution.COMPILED)
        return f"no step for {self.quiet_seconds:.0f} s: {compiling}a long evaluation, or its code hangs"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An experiment at one moment."""

    name: str
    rows: tuple[RunRow, ...]
    elapsed: float
    """Seconds that this process has watched."""
    eta_seconds: float | None
    """Until all that is queued or in training is done."""

    @property
    def more_may_come(self) -> bool:
        """Whether a search may let runs go on, or add others, so that it takes longer."""
        return any(row.run.trial is not None for row in self.rows)

    def count(self, *states: RunState) -> int:
        """Return how many runs are in one of ``states``."""
        return sum(row.run.state in states for row in self.rows)


class ProgressReader:
    """Reads snapshots of an experiment, again and again, with few queries."""

    def __init__(
        self, store: Store, experiment_id: str, name: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._experiment_id = experiment_id
        self._name = name
        self._clock = clock
        self._started = clock()
        self._paces: dict[str, Pace] = {}
        self._total_pace = Pace()
        self._facts: dict[str, dict[str, Any]] = {}
        self._epochs: dict[str, tuple[int | None, int | None]] = {}
        self._curves: dict[str, tuple[float, ...]] = {}
        self._curves_at = -_CURVE_SECONDS
        self._moved: dict[str, tuple[Sequence[tuple[str, int]], float]] = {}
        """Process to where its runs were, and since when."""

    def read(self, *, curves: bool = True) -> Snapshot:
        """Read the experiment as it is now; ``curves=False`` leaves out the loss curves."""
        runs = self._store.runs.list(experiment_id=self._experiment_id)
        now = self._clock()
        if curves and now - self._curves_at >= _CURVE_SECONDS:
            self._curves, self._curves_at = self._read_curves(runs), now
        self._watch(runs, now)
        rows = tuple(self._row(run, now) for run in runs)
        return Snapshot(name=self._name, rows=rows, elapsed=now - self._started, eta_seconds=self._eta(runs, now))

    def _watch(self, runs: Sequence[Run], now: float) -> None:
        """Note which processes moved: a run alone may only wait for its turn."""
        places: dict[str, list[tuple[str, int]]] = {}
        for run in runs:
            if run.state in ACTIVE and run.worker_id is not None:
                places.setdefault(run.worker_id, []).append((run.id, run.step))
        before = self._moved
        self._moved = {
            worker: before[worker] if worker in before and before[worker][0] == place else (place, now)
            for worker, place in places.items()
        }

    def _quiet(self, run: Run, now: float) -> float | None:
        if run.state not in ACTIVE or run.worker_id is None or run.notice:
            return None
        seconds = now - self._moved[run.worker_id][1]
        return seconds if seconds >= QUIET_SECONDS else None

    def _row(self, run: Run, now: float) -> RunRow:
        pace = self._paces.setdefault(run.id, Pace())
        eta = None
        if run.state is RunState.RUNNING:
            pace.add(now, run.step)
            goal = self._goal(run)
            eta = pace.seconds_for(None if goal is None else goal - run.step)
        else:
            pace.forget()
        metric = self._metric(run)
        return RunRow(
            run=run,
            epochs=self._total_epochs(run),
            fraction=min(1.0, run.step / run.total_steps) if run.total_steps else None,
            curve=self._curves.get(run.id, ()),
            metric=metric,
            value=run.summary.get(metric) if metric else None,
            samples_per_second=run.summary.get("samples_per_second") if run.state in ACTIVE else None,
            eta_seconds=eta,
            quiet_seconds=self._quiet(run, now),
        )

    def _read_curves(self, runs: Sequence[Run]) -> dict[str, tuple[float, ...]]:
        started = [run.id for run in runs if run.step > 0]
        series = self._store.metrics.chart(started, "train_loss", buckets=_CURVE_BUCKETS) if started else {}
        return {run_id: tuple(float(value) for value in chart.mean) for run_id, chart in series.items()}

    def _eta(self, runs: Sequence[Run], now: float) -> float | None:
        """Estimate from all runs together: in turns, each run by itself moves in jumps."""
        self._total_pace.add(now, sum(run.step for run in runs))
        waiting = [run for run in runs if run.state in {RunState.QUEUED, RunState.RUNNING}]
        goals = {run.id: self._goal(run) for run in runs}
        known = [goal for goal in goals.values() if goal is not None]
        if not waiting or not known:
            return None
        typical = sum(known) / len(known)
        left = sum((typical if (goal := goals[run.id]) is None else goal) - run.step for run in waiting)
        return self._total_pace.seconds_for(left)

    def _goal(self, run: Run) -> int | None:
        """Return the optimizer step at which it ends, or waits for its search."""
        epochs = self._total_epochs(run)
        if run.total_steps is None or run.until_epoch is None or not epochs:
            return run.total_steps
        return run.total_steps * min(run.until_epoch, epochs) // epochs

    def _metric(self, run: Run) -> str | None:
        """Choose the first configured metric that has a value; the loss if there is none."""
        for metric in self._spec(run).get("metrics", ()):
            name = f"val_{metric['name']}"
            if name in run.summary:
                return name
        others = sorted(name for name in run.summary if name.startswith("val_") and name != "val_loss")
        return others[0] if others else "val_loss" if "val_loss" in run.summary else None

    def _total_epochs(self, run: Run) -> int | None:
        cached = self._epochs.get(run.id)
        if cached is None or cached[0] != run.total_steps:
            cached = (run.total_steps, total_epochs(run, tuned_fields(self._store, [run]).get(run.id, {})))
            self._epochs[run.id] = cached
        return cached[1]

    def _spec(self, run: Run) -> dict[str, Any]:
        if run.id not in self._facts:
            self._facts[run.id] = json.loads(run.spec_json)
        return self._facts[run.id]


class Pace:
    """Steps per second over the last half minute."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now: float, step: int) -> None:
        """Note that ``step`` steps were done at ``now`` seconds; going back (a resume) starts over."""
        if self._points and step < self._points[-1][1]:
            self._points.clear()
        self._points.append((now, step))
        while len(self._points) > 2 and now - self._points[0][0] > _RATE_WINDOW_SECONDS:
            self._points.popleft()

    def forget(self) -> None:
        """Start over."""
        self._points.clear()

    def seconds_for(self, steps: float | None) -> float | None:
        """Return how long ``steps`` more take, or None until a pace of two seconds and more is known."""
        if steps is None or len(self._points) < 2:
            return None
        (first_time, first_step), (last_time, last_step) = self._points[0], self._points[-1]
        if last_time - first_time < _RATE_MINIMUM_SECONDS or last_step <= first_step:
            return None
        return max(0.0, steps) * (last_time - first_time) / (last_step - first_step)


def is_over(run: Run) -> bool:
    """Whether nothing will happen to the run unless somebody asks for it."""
    return run.state in FINAL or (run.state is RunState.PAUSED and not run.waits_for_search)
