"""Which agents count as alive: those of this machine, and those elsewhere that beat while one looks."""

import threading
from collections.abc import Callable

import pytest

from modelyard.agent import presence
from modelyard.agent.presence import AGENT, agent_kind, find_agent, live_agents, unknown_holders
from modelyard.domain.run import Run
from modelyard.store import Store


@pytest.fixture
def said() -> list[str]:
    return []


def test_an_agent_of_this_machine_is_found_without_a_wait(store: Store, said: list[str]) -> None:
    store.leases.register(kind=agent_kind("other"))
    worker_id = store.leases.register(kind=agent_kind("mine"))
    found = find_agent(store, "mine", say=said.append)
    assert found is not None
    assert (found.id, said) == (worker_id, [])


def test_a_silent_agent_that_cannot_be_known_does_not_count(
    store: Store, said: list[str], put_elsewhere: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "WATCH_SECONDS", 0.3)
    put_elsewhere(store.leases.register(kind=AGENT))
    assert live_agents(store) == []
    assert find_agent(store, "mine", say=said.append) is None
    assert len(said) == 1
    assert "on elsewhere is alive" in said[0]


def test_an_agent_elsewhere_that_beats_counts(
    store: Store, said: list[str], put_elsewhere: Callable[[str], None]
) -> None:
    worker_id = store.leases.register(kind=AGENT)
    put_elsewhere(worker_id)
    beat = threading.Timer(0.3, store.leases.heartbeat, [worker_id])
    beat.start()
    found = find_agent(store, "mine", say=said.append)
    beat.join()
    assert found is not None
    assert found.id == worker_id


def test_a_watch_outlasts_the_pause_between_two_beats() -> None:
    assert presence.WATCH_SECONDS > presence.HEARTBEAT_SECONDS


def test_holders_elsewhere_are_told_from_those_here(
    store: Store, queue_run: Callable[[int], Run], put_elsewhere: Callable[[str], None]
) -> None:
    run = queue_run(1)
    assert unknown_holders(store, [run]) == []
    worker_id = store.leases.register()
    store.leases.claim(worker_id, limit=1)
    assert unknown_holders(store, [store.runs.get(run.id)]) == []
    put_elsewhere(worker_id)
    assert [worker.id for worker in unknown_holders(store, [store.runs.get(run.id)])] == [worker_id]
