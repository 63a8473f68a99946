"""A home, runs for real engines, and a disk that can be filled."""

import time
from collections.abc import Callable

import pytest

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.run import Run
from modelyard.store import Store, schema

PATIENCE_SECONDS = 60.0


@pytest.fixture
def small_spec() -> Callable[[int], RunSpec]:
    """Build a spec of so many quick epochs."""

    def build(epochs: int) -> RunSpec:
        training = {"epochs": epochs, "batch_size": 16, "checkpoint": {"every_steps": 20}}
        return RunSpec.model_validate({"data": {"source": "digits", "max_per_class": 20}, "training": training})

    return build


@pytest.fixture
def queue_run(store: Store, small_spec: Callable[[int], RunSpec]) -> Callable[[int], Run]:
    """Queue one run of so many epochs as an experiment of its own."""

    def queue(epochs: int) -> Run:
        experiment = store.experiments.create(SweepSpec(name="test"), [small_spec(epochs)], actor="test")
        return store.runs.list(experiment_id=experiment.id)[0]

    return queue


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition; ``poll`` is called meanwhile."""

    def wait(condition: Callable[[], object], poll: Callable[[], object] = lambda: None) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it took too long"
            poll()
            time.sleep(0.02)

    return wait


@pytest.fixture
def put_elsewhere(store: Store) -> Callable[[str], None]:
    """Make a worker look as if it ran on another host."""

    def put(worker_id: str) -> None:
        workers = schema.workers
        with store.database.write() as connection:
            connection.execute(workers.update().where(workers.c.id == worker_id).values(host="elsewhere"))

    return put
