"""Devices over HTTP: figures with their age, what could not be read, and where runs trained."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.device import Device, Reading, all_unavailable
from modelyard.domain.run import Experiment
from modelyard.store import Store, clock

CPU = Device(name="cpu", platform="cpu", model="a processor", unavailable={})
GPU = Device(name="cuda:0", platform="cuda", model="a GPU", unavailable={})
BUSY = Reading(
    figures={"utilisation": 0.5, "memory_used": 2e9, "memory_total": 8e9},
    unavailable={"temperature": "no sensor", "power": "not counted"},
)

At = Callable[[datetime], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Set the clock of the store."""
    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


@contextmanager
def _uptime(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: seconds)
        yield


def _devices(client: TestClient) -> list[dict[str, Any]]:
    return list(client.get("/api/v1/devices").json()["devices"])


def test_no_agent_has_read_anything(client: TestClient) -> None:
    assert client.get("/api/v1/devices").json() == {"devices": [], "trouble": {}}


def test_figures_and_reasons(client: TestClient, store: Store) -> None:
    with store.devices.record() as record:
        record.add([CPU, GPU], {"cpu": BUSY, "cuda:0": all_unavailable("nvidia-smi did not answer")}, trouble="why")
    answer = client.get("/api/v1/devices").json()
    cpu, gpu = answer["devices"]
    assert (cpu["name"], cpu["platform"], cpu["model"], cpu["stale"]) == ("cpu", "cpu", "a processor", False)
    assert cpu["figures"] == dict(BUSY.figures)
    assert cpu["unavailable"] == dict(BUSY.unavailable)
    assert gpu["figures"] == {}
    assert set(gpu["unavailable"].values()) == {"nvidia-smi did not answer"}
    assert list(answer["trouble"].values()) == ["why"]


def test_figures_of_an_agent_that_is_gone_say_how_old_they_are(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _uptime(monkeypatch, 1000.0), store.devices.record() as record:
        record.add([CPU], {"cpu": BUSY})
    with _uptime(monkeypatch, 1015.0):
        (cpu,) = _devices(client)
        assert (cpu["age_seconds"], cpu["stale"]) == (15.0, False)
    with _uptime(monkeypatch, 1100.0):
        (cpu,) = _devices(client)
        assert (cpu["age_seconds"], cpu["stale"], cpu["figures"]["utilisation"]) == (100.0, True, 0.5)


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_a_clock_that_jumps_makes_no_figure_older_or_younger(
    client: TestClient, store: Store, at: At, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    with _uptime(monkeypatch, 1000.0), store.devices.record() as record:
        at(begun)
        record.add([CPU], {"cpu": BUSY})
        at(begun + jump)
        record.add([CPU], {"cpu": all_unavailable("x")})
        at(begun + timedelta(seconds=5))
        record.add([CPU], {"cpu": BUSY})
    at(begun - jump)
    with _uptime(monkeypatch, 1003.0):
        (cpu,) = _devices(client)
    assert (cpu["age_seconds"], cpu["stale"], cpu["figures"]["utilisation"]) == (3.0, False, 0.5)
    at(begun + timedelta(seconds=6))
    query = {"host": cpu["host"], "device": "cpu", "start": (begun - timedelta(days=1)).isoformat()}
    curve = client.get("/api/v1/devices/history", params=query).json()
    assert curve["times"] == sorted(curve["times"])
    assert curve["times"][-1] == (begun + timedelta(seconds=5)).timestamp()


def test_before_a_restart_of_the_machine_the_clock_has_to_do(
    client: TestClient, store: Store, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    at(begun)
    with store.devices.record() as record:
        record.add([CPU], {"cpu": BUSY})
    (path,) = store.home.devices.glob("*/machine.json")
    boot = store.devices.machines()[0].boot_id
    path.write_text(path.read_text().replace(boot, "another boot"))
    at(begun + timedelta(hours=1))
    (cpu,) = _devices(client)
    assert (cpu["age_seconds"], cpu["stale"]) == (3600.0, True)


def test_a_history_has_few_moments_and_gaps_where_nothing_was_read(client: TestClient, store: Store, at: At) -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    with store.devices.record() as record:
        for second in [*range(0, 500, 5), *range(3000, 3500, 5)]:
            at(begun + timedelta(seconds=second))
            record.add([CPU], {"cpu": BUSY})
    at(begun + timedelta(seconds=3600))
    query = {"host": store.devices.machines()[0].host, "device": "cpu", "start": begun.isoformat(), "buckets": 20}
    curve = client.get("/api/v1/devices/history", params=query).json()
    assert len(curve["times"]) <= 22
    assert set(curve["figures"]["utilisation"]) == {0.5, None}
    assert curve["figures"]["utilisation"].count(None) == 1
    assert set(curve["figures"]["power"]) == {None}
    part = {**query, "end": (begun + timedelta(seconds=10)).isoformat()}
    assert client.get("/api/v1/devices/history", params=part).json()["times"][-1] == begun.timestamp() + 10


def test_a_history_that_makes_no_sense_is_refused(client: TestClient) -> None:
    query = {"host": "x", "device": "cpu", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
    answer = client.get("/api/v1/devices/history", params=query)
    assert (answer.status_code, "query.end" in answer.json()["detail"]) == (422, True)
    naive = client.get("/api/v1/devices/history", params={**query, "start": "2026-01-01T00:00:00"})
    assert naive.json()["errors"][0]["field"] == "query.start"
    nothing = client.get("/api/v1/devices/history", params={"host": "x", "device": "../x", "start": query["end"]})
    assert nothing.json()["times"] == []


def test_which_runs_train_where_and_in_which_process(
    client: TestClient, store: Store, queued: Experiment, fake_supervisor: type[Any]
) -> None:
    with store.devices.record() as record:
        record.add([CPU, GPU], {"cpu": BUSY, "cuda:0": BUSY})
    with fake_supervisor(store) as engine:
        engine.start()
        engine.poll()
        cpu, gpu = _devices(client)
        (process,) = cpu["processes"]
        assert [run["name"] for run in process["runs"]] == ["digits-1", "digits-2", "digits-3"]
        assert process["memory"] > 1e6
        assert gpu["processes"] == []
    assert [device["processes"] for device in _devices(client)] == [[], []]


def test_a_runs_devices_are_cut_to_its_time(
    client: TestClient, store: Store, queued: Experiment, fake_supervisor: type[Any], at: At
) -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    assert client.get("/api/v1/runs/digits-1/devices").json() == {"spans": [], "curves": []}
    with store.devices.record() as record, fake_supervisor(store) as engine:
        for minute in range(10):
            at(begun + timedelta(minutes=minute))
            record.add([CPU, GPU], {"cpu": BUSY, "cuda:0": BUSY})
            if minute == 3:
                engine.start()
            if 3 <= minute < 6:
                engine.poll()
        found = client.get("/api/v1/runs/digits-1/devices").json()
    (span,) = found["spans"]
    assert (span["device"], span["attempt"]) == ("cpu", 1)
    assert datetime.fromisoformat(span["start"]) == begun + timedelta(minutes=3)
    assert datetime.fromisoformat(span["end"]) == begun + timedelta(minutes=5)
    (curve,) = found["curves"]
    assert curve["device"] == "cpu"
    assert curve["times"] == [(begun + timedelta(minutes=minute)).timestamp() for minute in (3, 4, 5)]
