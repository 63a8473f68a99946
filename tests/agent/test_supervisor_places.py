"""Runs that come later get processes of their own, and an agent that was taken for dead goes on."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from modelyard.agent.presence import live_agents
from modelyard.agent.supervisor import Supervisor
from modelyard.domain.config import RunSpec
from modelyard.domain.run import Run, RunState
from modelyard.store import LeaseObserver, Store

LONG = 100_000


@pytest.fixture
def clone(store: Store, small_spec: Callable[[int], RunSpec]) -> Callable[[Run], Run]:
    return lambda parent: store.runs.clone(parent.id, small_spec(LONG), actor="test")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.agent.supervisor.cores", lambda: 2)


@pytest.fixture
def no_engines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Engines that never do anything; returns the groups that they were started for."""
    started: list[Any] = []

    class Engine:
        pid = 1

        def exit_code(self) -> int | None:
            return None

        def ask_to_end(self) -> None: ...
        def wait(self, timeout: float | None = None) -> None: ...
        def kill(self) -> None: ...
        def close(self) -> None: ...

    def start(command: Any, group: Any, log: Any, warm: Any) -> Engine:
        started.append(group)
        return Engine()

    monkeypatch.setattr("modelyard.agent.supervisor.EngineCommand.start", start)
    return started


def test_a_clone_gets_a_second_engine_while_the_first_trains(
    store: Store,
    queue_run: Callable[[int], Run],
    clone: Callable[[Run], Run],
    wait_until: Callable[..., None],
) -> None:
    run = queue_run(LONG)
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        wait_until(lambda: store.runs.get(run.id).step > 0, supervisor.poll)
        (first,) = supervisor.poll().processes
        second = clone(run)
        wait_until(lambda: store.runs.get(second.id).step > 0, supervisor.poll)
        assert supervisor.poll().processes[0] == first
        assert len(supervisor.poll().processes) == 2
        assert (store.runs.get(run.id).state, store.runs.get(run.id).attempt) == (RunState.RUNNING, 1)
        reasons = [group.reason for group in supervisor.plan.groups]
        assert [reason[:5] for reason in reasons] == ["1 run", "2 run"]


def test_there_are_never_more_processes_than_cores(
    store: Store, no_engines: list[Any], queue_run: Callable[[int], Run], clone: Callable[[Run], Run]
) -> None:
    run = queue_run(LONG)
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        for _ in range(5):
            clone(run)
            supervisor.poll()
        assert len(no_engines) == len(supervisor.plan.groups) == 2


def test_as_many_processes_as_asked_for_and_no_more(
    store: Store, no_engines: list[Any], queue_run: Callable[[int], Run], clone: Callable[[Run], Run]
) -> None:
    run = queue_run(LONG)
    with Supervisor(store, experiment_id=run.experiment_id, processes=1, slots=3) as supervisor:
        supervisor.start()
        clone(run)
        supervisor.poll()
        assert [group.slots for group in supervisor.plan.groups] == [3]
        assert len(no_engines) == 1


def test_the_devices_are_asked_for_once(
    store: Store,
    no_engines: list[Any],
    queue_run: Callable[[int], Run],
    clone: Callable[[Run], Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def accelerators() -> tuple[str, ...]:
        asked.append(1)
        return ()

    monkeypatch.setattr("modelyard.agent.supervisor.accelerators", accelerators)
    run = queue_run(LONG)
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        clone(run)
        supervisor.poll()
    assert len(asked) == 1, "asking takes seconds, and the supervisor must look after its engines"


def test_an_agent_that_was_taken_for_dead_registers_again(
    store: Store, no_engines: list[Any], queue_run: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.agent.supervisor.HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr("modelyard.agent.supervisor.REAP_SECONDS", 0.0)
    run = queue_run(LONG)
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        (before,) = live_agents(store)
        store.leases.unregister(before.id)
        supervisor.poll()
        (after,) = live_agents(store)
        assert after.id != before.id
    assert store.leases.workers() == []


def test_runs_of_a_process_elsewhere_go_on_here_after_its_silence(
    store: Store,
    queue_run: Callable[[int], Run],
    wait_until: Callable[..., None],
    put_elsewhere: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Observer(LeaseObserver):
        """Has the patience of a test for the worker elsewhere, and the usual one for the others."""

        def silent(self, beats: Mapping[str, int]) -> set[str]:
            return super().silent(beats) & {worker_id}

    observer = Observer(timeout_seconds=0.5)
    monkeypatch.setattr("modelyard.agent.supervisor.LeaseObserver", lambda: observer)
    monkeypatch.setattr("modelyard.agent.supervisor.REAP_SECONDS", 0.1)
    run = queue_run(1)
    worker_id = store.leases.register()
    store.leases.claim(worker_id, limit=1)
    put_elsewhere(worker_id)
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        assert not supervisor.poll().idle
        wait_until(lambda: supervisor.poll().idle)
    assert (store.runs.get(run.id).state, store.runs.get(run.id).attempt) == (RunState.COMPLETED, 2)
