"""MLflow's side of bench/store.py, in a virtual environment of its own: one JSON command a line, one answer a line."""

import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service.utils import _get_store

BATCH = 1000  # the most that one log_batch takes
NAMES = 20


class Side:
    """One SQLite tracking store, MLflow's recommended local back end; every log_batch is a durable transaction."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "mlflow.db"
        self._client = MlflowClient(f"sqlite:///{self._file}")
        self._store = _get_store(f"sqlite:///{self._file}")
        self._random = random.Random(0)
        self._experiment = self._client.create_experiment("write")
        self._run = self._new_run(self._experiment)
        self._step = 0
        self._points = 0
        self._curves: list[str] = []
        self._listed = ""

    def write(self, points: int) -> float:
        """Log points of 20 metrics; return points per second."""
        batches = []
        for _ in range(points // BATCH):
            batch = []
            for _ in range(BATCH // NAMES):
                self._step += 1
                now = int(time.time() * 1000) + self._step * 50
                batch += [Metric(f"metric {name}", self._random.gauss(0, 1), now, self._step) for name in range(NAMES)]
            batches.append(batch)
        start = time.perf_counter()
        for batch in batches:
            self._client.log_batch(self._run, metrics=batch)
        seconds = time.perf_counter() - start
        self._points += points
        return points / seconds

    def bytes_per_point(self) -> float:
        """Return the size of the database file for each point so far."""
        return self._file.stat().st_size / self._points

    def fill_curves(self, runs: int, points: int) -> int:
        """Log one long metric to several runs."""
        experiment = self._client.create_experiment("curves")
        for _ in range(runs):
            run = self._new_run(experiment)
            self._curves.append(run)
            for first in range(0, points, BATCH):
                steps = range(first, min(first + BATCH, points))
                batch = [Metric("loss", self._random.gauss(0, 1), 1_700_000_000_000 + s * 50, s) for s in steps]
                self._client.log_batch(run, metrics=batch)
        return runs * points

    def history(self) -> float:
        """Read the whole metric of every run with the documented call; return seconds."""
        start = time.perf_counter()
        for run in self._curves:
            self._client.get_metric_history(run, "loss")
        return time.perf_counter() - start

    def chart(self, buckets: int) -> float:
        """Read what MLflow's own page draws: some points of every run; return seconds."""
        start = time.perf_counter()
        drawn = self._store.get_metric_history_bulk_interval(
            run_ids=self._curves, metric_key="loss", max_results=buckets, start_step=None, end_step=None
        )
        seconds = time.perf_counter() - start
        assert len({point.run_id for point in drawn}) == len(self._curves)
        return seconds

    def fill_list(self, runs: int, metrics: int) -> int:
        """Create runs with metrics."""
        self._listed = self._client.create_experiment("list")
        for _ in range(runs):
            run = self._new_run(self._listed)
            self._client.log_batch(
                run, metrics=[Metric(f"metric {m}", 0.5, 1_700_000_000_000, 1) for m in range(metrics)]
            )
        return runs

    def list(self, runs: int, metrics: int) -> float:
        """List the runs with their metrics; return seconds."""
        start = time.perf_counter()
        found = self._client.search_runs([self._listed], max_results=runs)
        seconds = time.perf_counter() - start
        assert len(found) == runs
        assert len(found[0].data.metrics) == metrics
        return seconds

    def version(self) -> str:
        return mlflow.__version__

    def _new_run(self, experiment: str) -> str:
        return self._client.create_run(experiment).info.run_id


def main() -> None:
    logging.disable(logging.WARNING)
    # What MLflow or its migrations print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side = Side(Path(sys.argv[1]))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        method: Callable[..., object] = getattr(side, name)
        answers.write(json.dumps(method(*arguments)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
