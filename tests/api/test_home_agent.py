"""The agent of a home moves every search on, those that are made while it works included."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from modelyard.agent.device_recorder import DeviceRecorder
from modelyard.api import home_agent
from modelyard.api.training import Resources
from modelyard.domain.run import FINAL, Experiment
from modelyard.store import Store


def test_searches_that_were_there_and_that_come_end(
    store: Store, begin: Callable[..., Experiment], engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_agent, "Supervisor", engine)
    monkeypatch.setattr(home_agent, "LOOK_SECONDS", 0.0)
    first = begin()
    ending = threading.Event()
    made: list[Experiment] = []

    def act(_: Any, polls: int) -> None:
        if polls == 5:
            made.append(begin(seed=3))
        runs = store.runs.list()
        if polls > 10 and len(runs) == 18 and all(run.state in FINAL for run in runs):
            ending.set()
        assert polls < 1000

    engine.on_poll = act
    home_agent.work(store, Resources(), ending=ending, say=print)
    assert {run.experiment_id for run in store.runs.list()} == {first.id, made[0].id}
    assert engine.made[0].stopped


def test_it_records_what_devices_do(store: Store, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_agent, "Supervisor", engine)
    monkeypatch.setattr(home_agent, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(home_agent, "DeviceRecorder", partial(DeviceRecorder, seconds=0.01))
    ending = threading.Event()

    def act(*_: Any) -> None:
        if store.devices.machines():
            ending.set()

    engine.on_poll = act
    home_agent.work(store, Resources(), ending=ending, say=print)
    (machine,) = store.devices.machines()
    assert "cpu" in [device.name for device in machine.devices]
