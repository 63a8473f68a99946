"""Short memory pauses the run that matters least, and gives it back: nothing is lost, nothing flaps."""

from collections.abc import Iterator
from typing import Any

import pytest

from modelyard.agent.memory_governor import (
    AGAIN_SECONDS,
    HIGH_SECONDS,
    LOW_SECONDS,
    Memory,
    MemoryGovernor,
    read_memory,
)
from modelyard.agent.supervisor import Supervisor
from modelyard.api.training import create
from modelyard.domain.config import SweepSpec
from modelyard.domain.control import Pause, SetPriority, Stop
from modelyard.domain.run import ReasonCode, RunState
from modelyard.scheduler.search.expand import expand
from modelyard.store import Store

TOTAL = 100 << 20
PLENTY, ENOUGH, SHORT = 50 << 20, 10 << 20, 2 << 20


class Machine:
    """A machine with as much memory as a test says, and a clock that goes when it says so."""

    def __init__(self, store: Store) -> None:
        self.available = PLENTY
        self.now = 0.0
        self.store = store
        self.governor = self.agent()

    def agent(self) -> MemoryGovernor:
        """Another agent on the same machine."""
        return MemoryGovernor(
            self.store,
            lambda states: self.store.runs.list(states=states),
            read=lambda: Memory(available=self.available, total=TOTAL),
            clock=lambda: self.now,
        )

    def wait(self, seconds: float, available: int) -> list[str]:
        """Look every second; return what was said."""
        self.available = available
        said = []
        for _ in range(round(seconds)):
            self.now += 1.0
            said.append(self.governor.look())
        return [text for text in said if text]


@pytest.fixture
def running(store: Store, fake_supervisor: type[Any]) -> Iterator[Any]:
    """Three runs in training, t-1 with priority 5."""
    space = {"optimizer.learning_rate": {"choice": [0.01, 0.02, 0.04]}}
    sweep = SweepSpec.model_validate(
        {"name": "t", "run": {"training": {"epochs": 200}}, "search": {"method": "grid", "space": space}}
    )
    create(store, sweep, expand(sweep), actor="ann")
    store.runs.request(store.runs.get("t-1").id, SetPriority(priority=5), actor="ann")
    with fake_supervisor(store) as engine:
        engine.start()
        engine.poll()
        yield engine


@pytest.fixture
def machine(store: Store, running: Any) -> Machine:
    del running
    return Machine(store)


def _states(store: Store) -> list[str]:
    return [run.state.value for run in store.runs.list()]


def test_a_moment_is_nothing(machine: Machine, store: Store) -> None:
    assert machine.wait(5, PLENTY) == []
    assert machine.wait(LOW_SECONDS, SHORT) == []
    assert machine.wait(60, ENOUGH) == []
    assert not machine.governor.is_short
    assert _states(store) == ["running"] * 3


def test_the_least_important_newest_run_is_paused_first_and_says_why(
    machine: Machine, store: Store, running: Any
) -> None:
    (said,) = machine.wait(LOW_SECONDS + 1, SHORT)
    assert said.startswith("t-3 is paused with a checkpoint, since only 2 of 100 MiB")
    assert machine.governor.is_short
    running.poll()
    found = store.runs.get("t-3")
    assert (found.state, found.reason.code) == (RunState.PAUSED, ReasonCode.MEMORY)
    assert "goes on by itself" in found.reason.message
    assert machine.wait(AGAIN_SECONDS - 2, SHORT) == []
    assert [text.split()[0] for text in machine.wait(AGAIN_SECONDS + 2, SHORT)] == ["t-2", "t-1"]
    running.poll()
    assert _states(store) == ["paused"] * 3


def test_they_go_on_one_by_one_the_most_important_first(machine: Machine, store: Store, running: Any) -> None:
    machine.wait(2 * AGAIN_SECONDS + LOW_SECONDS + 1, SHORT)
    running.poll()
    assert _states(store) == ["paused"] * 3
    assert machine.wait(600, ENOUGH) == []
    assert machine.wait(8 * HIGH_SECONDS, PLENTY) == []
    assert machine.wait(1, PLENTY) == ["t-1 goes on: there is memory again"]
    assert _states(store) == ["queued", "paused", "paused"]
    assert machine.governor.holds
    said = machine.wait(17 * HIGH_SECONDS, PLENTY)
    assert [text.split()[0] for text in said] == ["t-2", "t-3"]
    machine.wait(1, PLENTY)
    assert not machine.governor.holds


def test_another_agent_goes_on_with_what_the_first_one_paused(machine: Machine, store: Store, running: Any) -> None:
    machine.wait(LOW_SECONDS + 1, SHORT)
    running.poll()
    machine.governor = machine.agent()
    assert machine.wait(HIGH_SECONDS + 1, PLENTY) == ["t-3 goes on: there is memory again"]
    assert store.runs.get("t-3").state is RunState.QUEUED


def test_what_a_person_paused_or_stopped_stays_so(machine: Machine, store: Store, running: Any) -> None:
    store.runs.request(store.runs.get("t-2").id, Pause(), actor="ann")
    machine.wait(LOW_SECONDS + 1, SHORT)
    running.poll()
    store.runs.request(store.runs.get("t-3").id, Stop(), actor="ann")
    assert machine.wait(10 * HIGH_SECONDS, PLENTY) == []
    assert _states(store) == ["running", "paused", "stopped"]


def test_the_machine_has_memory() -> None:
    found = read_memory()
    assert 0 < found.available <= found.total


def test_an_agent_starts_nothing_while_memory_is_short_and_is_not_done_while_it_holds_a_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(available=SHORT, total=TOTAL)
    launched: list[Any] = []
    monkeypatch.setattr(Supervisor, "_launch", lambda self, place, now: launched.append(place))
    sweep = SweepSpec(name="one")
    create(store, sweep, expand(sweep), actor="ann")
    with Supervisor(store) as supervisor:
        supervisor._memory._read = lambda: memory
        supervisor.start()
        assert launched == []
        monkeypatch.setattr("modelyard.agent.supervisor.REAP_SECONDS", 0.0)
        memory = Memory(available=PLENTY, total=TOTAL)
        supervisor._next_reap = 0.0
        supervisor.poll()
        assert len(launched) == 1
        run = store.runs.list()[0]
        store.runs.request(run.id, Pause(reason="paused for memory"), actor="memory")
        supervisor._memory.holds = True
        assert not supervisor.poll().idle
        store.runs.request(run.id, Stop(), actor="ann")
        assert supervisor.poll().idle
