"""Foreground training when the home refuses to be written, and when the plan grows."""

import signal
from typing import Any

import pytest

from modelyard.api import training
from modelyard.api.training import Ending, NoView, Resources, create, train_experiment
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import StorageFullError
from modelyard.domain.plan import Plan
from modelyard.domain.run import Experiment, RunState
from modelyard.scheduler.search.expand import expand
from modelyard.store import Store


@pytest.fixture
def experiment(store: Store, sweep: dict[str, Any]) -> Experiment:
    spec = SweepSpec.model_validate(sweep)
    return create(store, spec, expand(spec), actor="test")


def refusing(function: Any, times: int) -> Any:
    """Have a function find the disk full so many times."""
    left = iter(range(times))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is not None:
            raise StorageFullError("the disk is full")
        return function(*arguments, **options)

    return call


def test_a_pause_that_a_full_disk_refuses_is_asked_again(
    engine: Any, store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "request_runs", refusing(training.request_runs, 1))
    engine.on_poll = lambda supervisor, poll: signal.raise_signal(signal.SIGINT) if poll == 1 else None
    ending = train_experiment(store, experiment, resources=Resources(), view=NoView(), actor="test")
    assert ending is Ending.PAUSED
    assert {run.state for run in store.runs.list()} == {RunState.PAUSED}


def test_a_second_interrupt_ends_at_once_on_a_full_disk(
    engine: Any, store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "request_runs", refusing(training.request_runs, 100))
    monkeypatch.setattr(training, "settle", refusing(training.settle, 100))
    engine.on_poll = lambda supervisor, poll: signal.raise_signal(signal.SIGINT) if poll < 3 else None
    ending = train_experiment(store, experiment, resources=Resources(), view=NoView(), actor="test")
    assert ending is Ending.KILLED
    assert engine.made[-1].killed


def test_a_plan_that_grows_is_shown_again(engine: Any, store: Store, experiment: Experiment) -> None:
    shown: list[int] = []

    class View(NoView):
        def planned(self, plan: Plan) -> None:
            shown.append(len(plan.groups))

    def grow(supervisor: Any, poll: int) -> None:
        if poll == 2:
            supervisor.plan = Plan(groups=supervisor.plan.groups + supervisor.plan.groups[:1])

    engine.on_poll = grow
    train_experiment(store, experiment, resources=Resources(), view=View(), actor="test")
    assert shown == [2, 3]
