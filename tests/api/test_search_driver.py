"""The driver of a search: decisions reach the runs once, whatever crashes and whoever interferes."""

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.api.search import SearchDriver, can_decide, end_search, search_failure
from modelyard.api.training import Ending, NoView, create
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import ConflictError, SearchFailedError
from modelyard.domain.events import SearchDecided
from modelyard.domain.run import Experiment, ReasonCode, Run, RunState
from modelyard.domain.search_log import DecisionKind, Settled, Trained
from modelyard.scheduler.search.trial import TrialStatus
from modelyard.store import Store
from modelyard.store.searches import NewTrial, Used

S = RunState
Begin = Callable[..., Experiment]


def runs_of(store: Store, experiment: Experiment) -> list[Run]:
    return store.runs.list(experiment_id=experiment.id)


def driver_of(store: Store, experiment: Experiment) -> SearchDriver:
    driver = SearchDriver.open(store, experiment)
    assert driver is not None
    return driver


def outcome(store: Store, experiment: Experiment) -> Any:
    """Return all that a search decided, and what became of its runs."""
    runs = [
        (run.trial, run.state, run.reason.code, run.reason.message, run.epoch, run.spec_hash)
        for run in runs_of(store, experiment)
    ]
    return store.searches.log(experiment.id), runs


def test_a_search_trains_to_its_end(train: Any, begin: Begin, store: Store) -> None:
    experiment = begin()
    assert len(runs_of(store, experiment)) == 4
    assert train(experiment) is Ending.IDLE
    runs = runs_of(store, experiment)
    assert len(runs) == 9
    codes = [run.reason.code for run in runs]
    assert {code: codes.count(code) for code in codes}.keys() == {ReasonCode.SEARCH, ReasonCode.FINISHED}
    assert {run.state for run in runs} == {S.STOPPED, S.COMPLETED}
    driver = driver_of(store, experiment)
    assert driver.settled
    for trial, run in zip(driver.search.trials, runs, strict=True):
        assert trial.number == run.trial
        assert trial.epoch == run.epoch
        assert (trial.status is TrialStatus.COMPLETED) == (run.state is S.COMPLETED)
        assert run.state is S.COMPLETED or run.why == trial.reason
    assert not can_decide(store, experiment)


def test_every_decision_is_an_event_with_its_reason(train: Any, begin: Begin, store: Store) -> None:
    experiment = begin()
    train(experiment)
    events = [event.payload for event in store.events.read(experiment_id=experiment.id, limit=10_000)]
    decisions = [event.decision for event in events if isinstance(event, SearchDecided)]
    kinds = [decision.kind for decision in decisions]
    assert kinds.count(DecisionKind.START) == 9
    assert kinds.count(DecisionKind.PROMOTE) + 9 == sum(
        isinstance(entry, Trained) for entry in store.searches.log(experiment.id)
    )
    assert kinds[-1] is DecisionKind.END
    assert all(decision.reason for decision in decisions)


def test_the_end_is_said(train: Any, begin: Begin, store: Store) -> None:
    said: list[str] = []

    class View(NoView):
        def say(self, message: str) -> None:
            said.append(message)

    train(begin(), View())
    assert [line for line in said if "the search is over" in line] == [said[-1]]


def test_a_metric_that_no_run_reports_ends_the_search_at_the_first_validation(
    train: Any, begin: Begin, store: Store
) -> None:
    run = {"task": "custom", "custom": {"file": "mine.py", "class_name": "Mine"}, "training": {"epochs": 9}}
    asha = {"name": "asha", "min_epochs": 3}
    experiment = begin(run=run, metric="val_mae", mode="min", concurrency=2, scheduler=asha)
    train(experiment)
    runs = runs_of(store, experiment)
    assert len(runs) == 2, "no other was begun"
    assert {(one.state, one.epoch < 3) for one in runs} == {(S.STOPPED, True)}
    name = runs[0].name
    expected = f"{name} reports no 'val_mae', by which the search decides, but val_accuracy, val_loss"
    assert {one.why for one in runs} == {expected}
    assert expected in search_failure(store, experiment)
    with pytest.raises(SearchFailedError, match="reports no 'val_mae'"):
        begin(run=run, metric="val_mae", mode="min", concurrency=2, scheduler=asha, go_on=True)


def test_a_budget_that_ends_a_search_before_any_validation_is_no_failure(
    train: Any, begin: Begin, store: Store
) -> None:
    experiment = begin()
    end_search(store, experiment, "the budget of 1 s is used up")
    train(experiment)
    assert search_failure(store, experiment) == ""


class Crash(BaseException):
    """The process is gone."""


def crashing(store: Store, monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], bool]:
    """Have the ``at``-th write of the driver, counted from 0, crash before (even) or after (odd) it is done."""
    count = 0

    def wrap(write: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            mine, count = count, count + 1
            if mine == at // 2 and at % 2 == 0:
                raise Crash
            result = write(*arguments, **options)
            if mine == at // 2:
                raise Crash
            return result

        return call

    for name in ("append", "add_trial", "promote", "stop"):
        monkeypatch.setattr(store.searches, name, wrap(getattr(store.searches, name)))
    return lambda: count > at // 2


@pytest.mark.parametrize(
    "search", [{}, {"budget": {"epochs": 17}}, {"scheduler": {"name": "pbt", "interval": 3}}], ids=str
)
def test_a_crash_at_any_write_changes_nothing(
    search: dict[str, Any], train: Any, begin: Begin, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = begin(samples=5, **search)
    train(undisturbed)
    expected = outcome(store, undisturbed)
    at, crashed = 0, True
    while crashed:
        experiment = begin(samples=5, **search)
        with monkeypatch.context() as patched:
            crashed = False
            happened = crashing(store, patched, at)
            try:
                train(experiment)
            except Crash:
                crashed = True
            assert crashed == happened()
        train(experiment)
        assert outcome(store, experiment) == expected
        at += 7  # every place is hit in some run of the loop, and the loop ends soon


@pytest.mark.parametrize("scheduler", ["asha", {"name": "pbt", "interval": 3}], ids=str)
def test_two_drivers_at_once_are_as_one(scheduler: Any, train: Any, begin: Begin, engine: Any, store: Store) -> None:
    undisturbed = begin(scheduler=scheduler)
    train(undisturbed)
    experiment = begin(scheduler=scheduler)
    other = driver_of(store, experiment)
    third = driver_of(store, experiment)

    def poll_too(supervisor: Any, poll: int) -> None:
        other.poll()
        if poll % 3 == 0:
            third.poll()

    engine.on_poll = poll_too
    train(experiment)
    assert outcome(store, experiment) == outcome(store, undisturbed)


def test_a_population_goes_on_as_forks(train: Any, begin: Begin, store: Store) -> None:
    experiment = begin(scheduler={"name": "pbt", "interval": 3}, samples=8, concurrency=3)
    train(experiment)
    runs = {run.trial: run for run in runs_of(store, experiment)}
    trials = driver_of(store, experiment).search.trials
    forks = [trial for trial in trials if trial.parent is not None]
    assert len(forks) == 4
    for trial in forks:
        run = runs[trial.number]
        assert trial.parent is not None
        assert (run.forked, run.parent_id) == (True, runs[trial.parent].id)
        assert store.checkpoints.get(run.warm_start or "").epoch == trial.start
        assert run.spec == trial.spec
        assert min(store.searches.evaluations(run.id)) == trial.start + 1
    assert sum(run.state is S.COMPLETED for run in runs.values()) == 8


def test_a_race_looks_at_the_scores_of_the_samples(train: Any, begin: Begin, store: Store) -> None:
    experiment = begin(scheduler={"name": "racing", "interval": 2, "patience": 1}, samples=6)
    train(experiment)
    runs = runs_of(store, experiment)
    assert all(run.scored for run in runs)
    fastest = max(runs, key=lambda run: run.spec.optimizer.learning_rate)
    assert fastest.state is S.COMPLETED
    ended = [run for run in runs if run.reason.code is ReasonCode.SEARCH]
    assert ended
    assert all("over the same 300 samples, worse" in run.why for run in ended)


def test_a_fork_whose_parent_was_deleted_is_given_up(
    train: Any, begin: Begin, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = begin(scheduler={"name": "pbt", "interval": 3}, samples=4)
    deleted: list[str] = []

    def vanish(experiment_id: str, trial: NewTrial) -> bool:
        assert trial.parent_id is not None
        store.runs.delete(trial.parent_id, actor="ada")
        deleted.append(trial.parent_id)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(store.searches, "add_trial", vanish)
        with pytest.raises(Crash):
            train(experiment)
    train(experiment)
    assert not can_decide(store, experiment)
    assert len(deleted) == 1
    fork = next(trial for trial in driver_of(store, experiment).search.trials if trial.parent is not None)
    assert fork.status is TrialStatus.LEFT
    assert fork.number not in {run.trial for run in runs_of(store, experiment)}


@pytest.mark.parametrize(("unit", "used"), [("seconds", Used(seconds=9, device_seconds=1)), ("device_seconds", None)])
def test_a_budget_of_time_ends_the_search(
    unit: str, used: Used | None, train: Any, begin: Begin, engine: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = used or Used(seconds=1, device_seconds=9)
    experiment = begin(budget={unit: 5})
    now = [Used(seconds=0, device_seconds=0)]
    monkeypatch.setattr(store.searches, "used", lambda _: now[0])

    def spend(supervisor: Any, poll: int) -> None:
        if poll == 3:
            now[0] = used

    engine.on_poll = spend
    assert train(experiment) is Ending.IDLE
    runs = runs_of(store, experiment)
    assert len(runs) < 9
    assert {run.state for run in runs} == {S.STOPPED}
    assert all("the budget of 5 " in run.why and run.reason.code is ReasonCode.SEARCH for run in runs)
    assert isinstance(store.searches.log(experiment.id)[-1], Settled)


def test_a_home_that_refuses_is_tried_again(
    train: Any, begin: Begin, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelyard.domain.errors import StorageFullError

    undisturbed = begin()
    train(undisturbed)
    experiment = begin()
    append, left = store.searches.append, [2, 1]

    def refuse(*arguments: Any) -> bool:
        if left:
            left.pop()
            raise StorageFullError("the disk is full")
        return append(*arguments)

    monkeypatch.setattr(store.searches, "append", refuse)
    said: list[str] = []

    class View(NoView):
        def say(self, message: str) -> None:
            said.append(message)

    train(experiment, View())
    assert "the search waits: the disk is full" in said
    assert outcome(store, experiment) == outcome(store, undisturbed)


def test_a_search_of_another_version_is_refused(train: Any, begin: Begin, store: Store, engine: Any) -> None:
    experiment = begin()
    driver_of(store, experiment).poll()
    run = runs_of(store, experiment)[0]
    from sqlalchemy import update

    from modelyard.store.schema import runs

    with store.database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == run.id).values(spec_hash="0" * 64))
    with pytest.raises(ConflictError, match="begun by another version"):
        driver_of(store, experiment)


def test_without_decisions_there_is_no_driver(store: Store) -> None:
    sweep = SweepSpec(name="plain")
    experiment = create(store, sweep, [sweep.run], actor="test")
    assert SearchDriver.open(store, experiment) is None
    assert not can_decide(store, experiment)
