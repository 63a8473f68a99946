"""The driver of a search: decisions reach the runs once, whatever crashes and whoever interferes."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.api.operations import Result, request
from modelyard.api.search import SearchDriver, can_decide
from modelyard.api.training import Ending, NoView, Resources, create, train_experiment
from modelyard.domain.config import SweepSpec
from modelyard.domain.control import Pause, Resume, Stop
from modelyard.domain.errors import ConflictError
from modelyard.domain.events import SearchDecided
from modelyard.domain.run import Experiment, ReasonCode, Run, RunState
from modelyard.domain.search_log import Closed, DecisionKind, Settled, Taken, Trained
from modelyard.domain.search_log import Ending as TrialEnding
from modelyard.scheduler.search.trial import TrialStatus
from modelyard.store import Store
from modelyard.store.searches import NewTrial, Used

S = RunState
RATES = {"optimizer.learning_rate": {"log": [1e-4, 1e-1]}}
Begin = Callable[..., Experiment]


def spec(**search: Any) -> SweepSpec:
    defaults = {"method": "random", "samples": 9, "space": RATES, "scheduler": "asha", "concurrency": 4}
    return SweepSpec.model_validate({"name": "s", "run": {"training": {"epochs": 9}}, "search": {**defaults, **search}})


@pytest.fixture
def begin(store: Store) -> Begin:
    def make(sweep: SweepSpec | None = None, *, go_on: bool = False) -> Experiment:
        return create(store, sweep or spec(), (), actor="test", go_on=go_on)

    return make


@pytest.fixture
def train(engine: Any, store: Store) -> Callable[[Experiment], Ending]:
    def run(experiment: Experiment, view: Any = None) -> Ending:
        return train_experiment(store, experiment, resources=Resources(), view=view or NoView(), actor="test")

    return run


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
    undisturbed = begin(spec(samples=5, **search))
    train(undisturbed)
    expected = outcome(store, undisturbed)
    at, crashed = 0, True
    while crashed:
        experiment = begin(spec(samples=5, **search))
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
    undisturbed = begin(spec(scheduler=scheduler))
    train(undisturbed)
    experiment = begin(spec(scheduler=scheduler))
    other = driver_of(store, experiment)
    third = driver_of(store, experiment)

    def poll_too(supervisor: Any, poll: int) -> None:
        other.poll()
        if poll % 3 == 0:
            third.poll()

    engine.on_poll = poll_too
    train(experiment)
    assert outcome(store, experiment) == outcome(store, undisturbed)


def test_how_many_train_at_a_time_changes_no_decision(train: Any, begin: Begin, engine: Any, store: Store) -> None:
    undisturbed = begin()
    train(undisturbed)
    experiment = begin()
    chosen = [3, 0, 2, 1]

    def pause_and_resume(supervisor: Any, poll: int) -> None:
        live = [run for run in runs_of(store, experiment) if run.state is S.QUEUED and not run.waits_for_search]
        for number, run in enumerate(live):  # let one alone train, another one each time
            if number != chosen[poll % 4] and number < 4 and len(live) > 1 and poll < 40:
                store.runs.request(run.id, Pause(), actor="ada")
        for run in runs_of(store, experiment):
            if run.state is S.PAUSED and not run.waits_for_search and (poll + (run.trial or 0)) % 3 == 0:
                store.runs.request(run.id, Resume(), actor="ada")

    engine.on_poll = pause_and_resume
    while can_decide(store, experiment):
        train(experiment)
        paused = [run for run in runs_of(store, experiment) if run.state is S.PAUSED and not run.waits_for_search]
        for run in paused:
            store.runs.request(run.id, Resume(), actor="ada")
    log, expected = store.searches.log(experiment.id), store.searches.log(undisturbed.id)
    assert log == expected


def test_ctrl_c_pauses_and_continue_goes_on(train: Any, begin: Begin, engine: Any, store: Store) -> None:
    undisturbed = begin(spec(seed=1))
    train(undisturbed)
    engine.on_poll = lambda supervisor, poll: signal.raise_signal(signal.SIGINT) if poll == 5 else None
    experiment = begin()
    assert train(experiment) is Ending.PAUSED
    waiting = [run for run in runs_of(store, experiment) if run.waits_for_search]
    asked = [run for run in runs_of(store, experiment) if run.state is S.PAUSED and not run.waits_for_search]
    assert waiting
    assert asked
    engine.on_poll = None
    again = begin(go_on=True)
    assert again.id == experiment.id
    assert all(store.runs.get(run.id).waits_for_search for run in waiting)
    assert all(store.runs.get(run.id).state is S.QUEUED for run in asked)
    assert train(again) is Ending.IDLE
    fresh = begin()
    train(fresh)
    assert outcome(store, experiment)[0] == outcome(store, fresh)[0]
    assert begin(go_on=True).id not in {experiment.id, fresh.id, undisturbed.id}


def test_a_member_that_is_stopped_is_replaced(train: Any, begin: Begin, engine: Any, store: Store) -> None:
    experiment = begin()

    def stop(supervisor: Any, poll: int) -> None:
        if poll == 1:
            request(store, ["s-2"], Stop(), actor="ada", timeout=0)

    engine.on_poll = stop
    train(experiment)
    (ended,) = [entry for entry in store.searches.log(experiment.id) if isinstance(entry, Trained) and entry.trial == 2]
    assert ended.ending is TrialEnding.STOPPED
    assert store.runs.get("s-2").reason.code is ReasonCode.USER_REQUEST
    assert len(runs_of(store, experiment)) == 9


@pytest.mark.parametrize("what", ["resume", "stop", "delete"])
def test_a_waiting_member_can_be_taken_from_the_search(
    what: str, train: Any, begin: Begin, engine: Any, store: Store
) -> None:
    experiment = begin()
    taken: list[Run] = []

    def take(supervisor: Any, poll: int) -> None:
        waiting = [run for run in runs_of(store, experiment) if run.waits_for_search]
        if waiting and not taken and poll > 8:
            taken.append(waiting[0])
            if what == "delete":
                store.runs.delete(waiting[0].id, actor="ada")
            else:
                store.runs.request(waiting[0].id, Resume() if what == "resume" else Stop(), actor="ada")

    engine.on_poll = take
    assert train(experiment) is Ending.IDLE
    entries = [entry for entry in store.searches.log(experiment.id) if isinstance(entry, Taken)]
    assert [entry.trial for entry in entries] == [taken[0].trial]
    left = {run.id: run for run in runs_of(store, experiment)}
    if what == "resume":
        assert (left[taken[0].id].state, left[taken[0].id].epoch) == (S.COMPLETED, 9)
    elif what == "stop":
        assert left[taken[0].id].reason.code is ReasonCode.USER_REQUEST
    else:
        assert taken[0].id not in left
    assert can_decide(store, experiment) is False


def test_a_population_goes_on_as_forks(train: Any, begin: Begin, store: Store) -> None:
    experiment = begin(spec(scheduler={"name": "pbt", "interval": 3}, samples=8, concurrency=3))
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


def test_a_fork_whose_parent_was_deleted_is_given_up(
    train: Any, begin: Begin, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = begin(spec(scheduler={"name": "pbt", "interval": 3}, samples=4))
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


def test_a_clone_is_outside_the_search(train: Any, begin: Begin, engine: Any, store: Store) -> None:
    experiment = begin()
    parent = runs_of(store, experiment)[0]
    clone = store.runs.clone(parent.id, parent.spec, actor="ada")
    train(experiment)
    done = store.runs.get(clone.id)
    assert (done.state, done.epoch, done.trial) == (S.COMPLETED, 9, None)
    assert len(driver_of(store, experiment).search.trials) == 9


def test_stopping_the_experiment_ends_the_search(train: Any, begin: Begin, engine: Any, store: Store) -> None:
    experiment = begin()

    def stop(supervisor: Any, poll: int) -> None:
        if poll == 2:
            request(store, ["s"], Stop(), actor="ada", timeout=0)

    engine.on_poll = stop
    train(experiment)
    assert [one for one in store.searches.log(experiment.id) if isinstance(one, Closed)] == [
        Closed(message="the experiment was stopped by ada")
    ]
    runs = runs_of(store, experiment)
    assert {run.state for run in runs} <= {S.STOPPED, S.COMPLETED}
    assert len(runs) < 9
    outcomes = request(store, [f"experiment:{experiment.id}"], Resume(), actor="ada", timeout=0)
    ours = [one.run for one in outcomes if one.run.reason.code is ReasonCode.SEARCH]
    assert all(one.result is Result.SKIPPED for one in outcomes if one.run in ours)


def test_a_run_that_was_ended_can_be_resumed_by_name(train: Any, begin: Begin, store: Store) -> None:
    experiment = begin()
    train(experiment)
    stopped = next(run for run in runs_of(store, experiment) if run.reason.code is ReasonCode.SEARCH)
    request(store, [stopped.name], Resume(), actor="ada", timeout=0)
    train(experiment)
    assert store.runs.get(stopped.id).state is S.COMPLETED


def test_a_paused_member_is_waited_for_and_named(train: Any, begin: Begin, engine: Any, store: Store) -> None:
    experiment = begin()
    store.runs.request(runs_of(store, experiment)[0].id, Pause(), actor="ada")
    said: list[str] = []

    class View(NoView):
        def say(self, message: str) -> None:
            said.append(message)

    assert train(experiment, View()) is Ending.IDLE
    assert "the search waits for s-1, which is paused: resume it, or stop it to go on without it" in said
    assert can_decide(store, experiment)
    request(store, ["s-1"], Stop(), actor="ada", timeout=0)
    train(experiment)
    assert not can_decide(store, experiment)


@pytest.mark.parametrize(("unit", "used"), [("seconds", Used(seconds=9, device_seconds=1)), ("device_seconds", None)])
def test_a_budget_of_time_ends_the_search(
    unit: str, used: Used | None, train: Any, begin: Begin, engine: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = used or Used(seconds=1, device_seconds=9)
    experiment = begin(spec(budget={unit: 5}))
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
