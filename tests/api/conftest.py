"""A home, and an engine that needs no torch, for the Python API."""

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.api.training import Ending, NoView, Resources, View, create, train_experiment
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment
from modelyard.store import Store


@pytest.fixture
def begin(store: Store) -> Callable[..., Experiment]:
    """Begin a search of random learning rates by ASHA, with other settings of it; or go on with one."""

    def make(*, go_on: bool = False, run: dict[str, Any] | None = None, **search: Any) -> Experiment:
        space = {"optimizer.learning_rate": {"log": [1e-4, 1e-1]}}
        defaults = {"method": "random", "samples": 9, "space": space, "scheduler": "asha", "concurrency": 4}
        settings = {"name": "s", "run": run or {"training": {"epochs": 9}}, "search": {**defaults, **search}}
        return create(store, SweepSpec.model_validate(settings), (), actor="test", go_on=go_on)

    return make


@pytest.fixture
def train(engine: Any, store: Store) -> Callable[..., Ending]:
    """Train an experiment in the foreground."""

    def run(experiment: Experiment, view: View | None = None) -> Ending:
        return train_experiment(store, experiment, resources=Resources(), view=view or NoView(), actor="test")

    return run


@pytest.fixture
def sweep() -> dict[str, Any]:
    return {
        "name": "digits",
        "run": {"training": {"epochs": 2}},
        "search": {"method": "grid", "space": {"optimizer.learning_rate": {"choice": [0.01, 0.02]}}},
    }
