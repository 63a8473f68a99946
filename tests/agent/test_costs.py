"""Processes get equal shares of the work as far as measurements tell, and are planned anew when runs leave."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from modelyard.agent.costs import known_costs
from modelyard.agent.devices import DeviceInfo
from modelyard.agent.engine_process import EngineCommand
from modelyard.agent.supervisor import Supervisor
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause
from modelyard.domain.measurement import Facts, Measurement, Situation
from modelyard.domain.plan import Group
from modelyard.domain.structure import structure_hash, workload_hash
from modelyard.store import Store
from modelyard.store.circumstances import circumstances

NOW = datetime.now(UTC)


def sized(size: int, epochs: int = 5) -> RunSpec:
    model = {"name": "mlp", "hidden_sizes": [size]}
    return RunSpec.model_validate({"model": model, "training": {"epochs": epochs}})


def keep(store: Store, runs: list[RunSpec], seconds: float, *, device: str = "cpu", processes: int = 2) -> None:
    one = Measurement(
        members=1, processes=processes, seconds=seconds, steps=20, source="plan", peak_bytes=None, measured_at=NOW
    )
    facts = Facts(
        parameters=1,
        weight_bytes=1,
        optimizer_bytes=1,
        evaluation_seconds=1e-9,
        steps_per_epoch=10,
        train_samples=100,
        val_samples=0,
        test_samples=0,
        start_seconds=1,
        open_seconds=1,
        measured_at=NOW,
    )
    store.measurements.keep(Situation(workload=workload_hash(runs), device=device), circumstances(), one, facts)


def test_costs_are_known_only_if_every_structure_was_measured_on_such_a_device(store: Store) -> None:
    small, large = [sized(8), sized(8, epochs=10)], [sized(99)]
    keep(store, small, 0.1)
    assert known_costs(store.measurements, small, device=None, processes=2) == pytest.approx([5.0, 10.0])
    assert known_costs(store.measurements, [*small, *large], device=None, processes=2) is None
    keep(store, large, 2.0)
    found = known_costs(store.measurements, [*small, *large], device=None, processes=2)
    assert found == pytest.approx([5.0, 10.0, 100.0])
    assert known_costs(store.measurements, small, device=None, processes=4) is None
    gpu = DeviceInfo(name="cuda:0", kind="cuda", model="Large", memory_bytes=None)
    assert known_costs(store.measurements, small, device=gpu, processes=2) is None
    keep(store, small, 0.1, device="Large")
    assert known_costs(store.measurements, small, device=gpu, processes=2) is not None


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Engines that never do anything until they are told to have ended; with the groups that they were started for."""
    started: list[Any] = []

    class Engine:
        pid = 1

        def __init__(self, group: Group) -> None:
            self.group = group
            self.code: int | None = None

        def exit_code(self) -> int | None:
            return self.code

        def ask_to_end(self) -> None: ...
        def wait(self, timeout: float | None = None) -> None: ...
        def kill(self) -> None: ...
        def close(self) -> None: ...

    def start(command: Any, group: Group, log: Any, warm: Any) -> Engine:
        started.append(Engine(group))
        return started[-1]

    monkeypatch.setattr("modelyard.agent.supervisor.EngineCommand.start", start)
    monkeypatch.setattr("modelyard.agent.supervisor.cores", lambda: 2)
    monkeypatch.setattr("modelyard.agent.supervisor.accelerators", tuple)
    return started


def test_measured_costs_decide_which_process_takes_what(store: Store, engines: list[Any]) -> None:
    specs = [sized(8), sized(8), sized(8), sized(99)]
    keep(store, specs[:3], 0.1)
    keep(store, specs[3:], 0.3)
    store.experiments.create(SweepSpec(name="mine"), specs, actor="test")
    with Supervisor(store) as supervisor:
        supervisor.start()
    assert [engine.group.structures for engine in engines] == [(structure_hash(specs[0]),), (structure_hash(specs[3]),)]
    assert [engine.group.slots for engine in engines] == [3, 1]


def test_a_place_is_planned_anew_when_its_process_ended_and_runs_have_left(store: Store, engines: list[Any]) -> None:
    specs = [sized(8) for _ in range(6)]
    experiment = store.experiments.create(SweepSpec(name="mine"), specs, actor="test")
    with Supervisor(store) as supervisor:
        supervisor.start()
        assert [engine.group.slots for engine in engines] == [3, 3]
        for run in store.runs.list(experiment_id=experiment.id)[2:]:
            store.runs.request(run.id, Pause(), actor="test")
        engines[0].code = 0
        supervisor.poll()
        assert [engine.group.slots for engine in engines] == [3, 3, 1]


def test_a_process_is_told_what_to_take_first_and_how_many_train_beside_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []
    spawn: Callable[..., Any] = lambda arguments, **_: told.append(arguments)  # noqa: E731
    monkeypatch.setattr("modelyard.agent.engine_process.start_engine", spawn)
    command = EngineCommand(home=store.home.path, variables=dict, experiment_id=None)
    group = Group(execution=None, device="cpu", slots=2, threads=1, processes=2, structures=("a", "b"), reason="so")
    command.start(group, store.home.worker_log("x"))
    assert {"--structure=a", "--structure=b", "--processes=2"} <= set(told[0])
