"""A home, and an engine that needs no torch, for the Python API."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest


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
def sweep() -> dict[str, Any]:
    return {
        "name": "digits",
        "run": {"training": {"epochs": 2}},
        "search": {"method": "grid", "space": {"optimizer.learning_rate": {"choice": [0.01, 0.02]}}},
    }
