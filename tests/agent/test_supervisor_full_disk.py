"""A disk that fills up makes runs wait; the supervisor says so and goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.agent.supervisor import Supervisor
from modelyard.domain.errors import SchemaVersionError, StorageFullError
from modelyard.domain.run import Run, RunState
from modelyard.store import LeaseObserver, Store


@pytest.fixture
def home(disk: Any) -> Path:
    """The home of every store in this file is on the small disk."""
    folder: Path = disk.path / "home"
    return folder


def test_training_outlives_a_full_disk(
    disk: Any, store: Store, queue_run: Callable[[int], Run], wait_until: Callable[..., None]
) -> None:
    run = queue_run(100)
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        wait_until(lambda: store.runs.get(run.id).step > 20, supervisor.poll)
        disk.fill()
        wait_until(lambda: "is full" in supervisor.poll().message)
        said = supervisor.poll().message
        assert said.endswith("runs wait for space")
        for _ in range(100):
            assert not supervisor.poll().idle
        assert supervisor.poll().message == said, "said once"
        disk.empty()
        wait_until(lambda: "can be written again" in supervisor.poll().message)
        wait_until(lambda: supervisor.poll().idle)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.attempt) == (RunState.COMPLETED, 1)


def test_no_engine_is_wasted_on_a_full_disk_and_none_is_missing_afterwards(
    disk: Any, store: Store, queue_run: Callable[[int], Run], wait_until: Callable[..., None]
) -> None:
    run = queue_run(1)
    disk.fill()
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        status = supervisor.poll()
        assert "is full" in status.message
        assert (status.processes, status.idle) == ((), False)
        disk.empty()
        wait_until(lambda: supervisor.poll().idle)
    assert store.runs.get(run.id).state is RunState.COMPLETED


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_engines_are_ended_on_a_full_disk(
    disk: Any, store: Store, queue_run: Callable[[int], Run], wait_until: Callable[..., None], end: str
) -> None:
    run = queue_run(100_000)
    supervisor = Supervisor(store, experiment_id=run.experiment_id)
    supervisor.start()
    wait_until(lambda: store.runs.get(run.id).step > 20, supervisor.poll)
    (engine,) = supervisor._engines()
    disk.fill()
    getattr(supervisor, end)()
    assert engine.exit_code() is not None
    disk.empty()
    store.leases.reap(supervisor._observer)
    assert store.runs.get(run.id).state is RunState.QUEUED


def test_a_newer_schema_is_not_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def newer(*_: Any, **__: object) -> None:
        raise SchemaVersionError("newer")

    with Supervisor(store) as supervisor:
        monkeypatch.setattr(store.leases, "reap", newer)
        with pytest.raises(SchemaVersionError):
            supervisor.start()
        monkeypatch.undo()


def test_an_engine_that_cannot_have_a_log_file_is_a_full_disk(
    store: Store, queue_run: Callable[[int], Run], wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_run(1)

    def refuse(name: str) -> Path:
        raise StorageFullError("the disk is full")

    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        with monkeypatch.context() as patch:
            patch.setattr(store.home, "worker_log", refuse)
            supervisor.start()
            assert supervisor.poll().message == "the disk is full; runs wait for space"
        wait_until(lambda: supervisor.poll().idle)
    assert store.runs.get(run.id).state is RunState.COMPLETED


def test_silence_on_a_full_disk_takes_no_run_from_a_living_engine(
    store: Store, queue_run: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr("modelyard.agent.supervisor.LeaseObserver", lambda: LeaseObserver(clock=lambda: seconds[0]))
    monkeypatch.setattr("modelyard.agent.supervisor.REAP_SECONDS", 0.0)
    monkeypatch.setattr("modelyard.agent.supervisor.HEARTBEAT_SECONDS", 0.0)
    run = queue_run(1)
    store.leases.claim(store.leases.register(), limit=1)

    def refuse(worker_id: str) -> None:
        raise StorageFullError("the disk is full")

    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        for _ in range(5):
            seconds[0] += 5
            supervisor.poll()
        with monkeypatch.context() as patch:
            patch.setattr(store.leases, "heartbeat", refuse)
            supervisor.poll()
        seconds[0] += 60
        supervisor.poll()
        assert store.runs.get(run.id).state is RunState.RUNNING
