"""Where an agent of the whole home trains, nobody else starts engines; where it ends, they do."""

from typing import Any

import pytest

from modelyard.agent.presence import AGENT, agent_kind
from modelyard.api.progress import Snapshot
from modelyard.api.training import Ending, NoView, Resources, create, train_experiment
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment, RunState
from modelyard.scheduler.search.expand import expand
from modelyard.store import Store


class _View(NoView):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.updates = 0
        self.act: Any = None

    def update(self, snapshot: Snapshot, events: Any) -> None:
        self.updates += 1
        if self.act is not None:
            self.act(self.updates)

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def experiment(store: Store, sweep: dict[str, Any]) -> Experiment:
    spec = SweepSpec.model_validate(sweep)
    return create(store, spec, expand(spec), actor="ann")


def _train(store: Store, experiment: Experiment, view: _View, **resources: Any) -> Ending:
    return train_experiment(store, experiment, resources=Resources(**resources), view=view, actor="ann")


def test_an_agent_of_the_home_trains_and_this_process_looks_on(
    store: Store, experiment: Experiment, engine: Any
) -> None:
    with engine(store) as agent:
        agent.start()
        view = _View()
        view.act = lambda _: agent.poll()
        assert _train(store, experiment, view) is Ending.IDLE
    assert len(engine.made) == 1
    assert "trains what is queued in this home" in view.said[0]
    assert {run.state for run in store.runs.list()} == {RunState.COMPLETED}


def test_when_the_agent_is_gone_this_process_goes_on(
    store: Store, experiment: Experiment, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.api.onlooker.LOOK_SECONDS", 0.0)
    agent = store.leases.register(kind=AGENT)
    view = _View()
    view.act = lambda update: store.leases.unregister(agent) if update == 3 else None
    assert _train(store, experiment, view) is Ending.IDLE
    (own,) = engine.made
    assert own.experiment_id == experiment.id
    assert own.stopped


def test_whoever_asks_for_processes_gets_them(store: Store, experiment: Experiment, engine: Any) -> None:
    store.leases.register(kind=AGENT)
    assert _train(store, experiment, _View(), processes=1) is Ending.IDLE
    assert len(engine.made) == 1


def test_an_experiment_with_an_agent_of_its_own_is_left_to_it(store: Store, experiment: Experiment) -> None:
    own = store.leases.register(kind=agent_kind(experiment.id))
    engine = store.leases.register()
    assert store.leases.claim(engine, limit=1) == []
    assert len(store.leases.claim(engine, limit=1, experiment_id=experiment.id)) == 1
    store.leases.unregister(own)
    assert len(store.leases.claim(engine, limit=9)) == 1
