"""A home, and an engine that needs no torch, for the Python API."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.api.training import Ending, NoView, Resources, View, create, train_experiment
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment
from modelyard.store import Store


def _fake_engine() -> Any:
    spec = importlib.util.spec_from_file_location("fake_engine", Path(__file__).parents[1] / "fake_engine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    """Train with the engine without torch; returns its class, to look at what was made or to act on each poll."""

    class Supervisor(_fake_engine().FakeSupervisor):  # type: ignore[misc]
        made: list[Any] = []

    monkeypatch.setattr("modelyard.api.training.Supervisor", Supervisor)
    monkeypatch.setattr("modelyard.api.training._REFRESH_SECONDS", 0.0)
    return Supervisor


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
