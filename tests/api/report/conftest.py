"""Runs with histories of one's own choice, made with the store's own API."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelyard.api.report import Report, collect_report
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.ports import Point
from modelyard.domain.run import Experiment, Lease, Reason, ReasonCode, Run, RunState
from modelyard.store import Store

STEPS = 100
EPOCHS = 10


@dataclass
class Made:
    """What a run is to have; without values it stays in the queue."""

    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metric to its values, spread evenly over the steps."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    end: RunState | None = RunState.COMPLETED
    """None: it stays in training."""
    why: str = "all 10 epochs done"
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    steps: int = STEPS


class Maker:
    """Makes experiments in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.leases: dict[str, Lease] = {}
        """Of the runs that are still in training."""

    def __call__(
        self, runs: Sequence[Made], *, name: str = "sweep", search: Mapping[str, Any] | None = None
    ) -> Experiment:
        specs = [
            RunSpec.model_validate({"training": {"epochs": EPOCHS}, "seed": number, **made.spec})
            for number, made in enumerate(runs)
        ]
        sweep = SweepSpec.model_validate(
            {"name": name, "run": {"training": {"epochs": EPOCHS}}, "search": search or {}}
        )
        experiment = self.store.experiments.create(sweep, specs, actor="ana")
        worker = self.store.leases.register()
        for run, lease in self.store.leases.claim(worker, limit=len(runs), experiment_id=experiment.id):
            self.leases[run.id] = lease
            self._train(lease, runs[int(run.name.rpartition("-")[2]) - 1])
        return self.store.experiments.get(experiment.id)

    def _train(self, lease: Lease, made: Made) -> None:
        blobs = {name: self.store.blobs.put([json.dumps(content).encode()]) for name, content in made.artifacts.items()}
        with self.store.write(lease) as write:
            if not made.values:
                write.transition(RunState.QUEUED, Reason(code=ReasonCode.RELEASED, message="gave it back"))
                return
            how = {"execution": "sliced", "device": "cpu", "reason": "because"}
            write.begin(start_step=0, checkpoint_id=None, total_steps=made.steps, **how)
            write.fingerprints({"data": "d" * 64, "code": "c" * 64, "environment": "e" * 64})
            for metric, values in made.values.items():
                every = made.steps // len(values)
                points = [
                    Point(metric, every * place, time.time(), value) for place, value in enumerate(values, start=1)
                ]
                write.points(points)
            for name, blob in blobs.items():
                write.artifact(name, blob, step=made.steps)
            write.progress(step=made.steps, epoch=EPOCHS, total_steps=made.steps)
            if made.end is not None:
                code = ReasonCode.ERROR if made.end is RunState.FAILED else ReasonCode.FINISHED
                write.transition(made.end, Reason(code=code, message=made.why))


@pytest.fixture
def make(store: Store) -> Maker:
    """Give a function that makes an experiment."""
    return Maker(store)


@pytest.fixture
def made() -> type[Made]:
    """Give the description of a run."""
    return Made


@pytest.fixture
def report(store: Store) -> Callable[..., Report]:
    """Give a function that reads the report on a whole experiment."""

    def read(experiment: Experiment, **options: Any) -> Report:
        runs: list[Run] = store.runs.list(experiment_id=experiment.id)
        return collect_report(store, runs, experiments=[experiment], **options)

    return read
