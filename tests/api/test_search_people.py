"""People who stop, pause, resume, delete and clone runs of a search, and what the search makes of it."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.api.operations import Result, request
from modelyard.api.search import SearchDriver, can_decide, end_search
from modelyard.api.training import Ending, NoView
from modelyard.domain.control import Pause, Resume, Stop
from modelyard.domain.run import Experiment, ReasonCode, Run, RunState
from modelyard.domain.search_log import Closed, Taken, Trained
from modelyard.domain.search_log import Ending as TrialEnding
from modelyard.store import Store

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
    undisturbed = begin(seed=1)
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
    assert outcome(store, experiment)[0] == outcome(store, begin_and_train(begin, train))[0]


def test_a_search_that_is_over_is_gone_on_with_as_it_is(train: Any, begin: Begin, store: Store) -> None:
    experiment = begin_and_train(begin, train)
    before = outcome(store, experiment)
    assert begin(go_on=True).id == experiment.id
    assert train(experiment) is Ending.IDLE
    assert outcome(store, experiment) == before


def begin_and_train(begin: Begin, train: Any) -> Experiment:
    experiment = begin()
    train(experiment)
    return experiment


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
    (closed,) = [one for one in store.searches.log(experiment.id) if isinstance(one, Closed)]
    assert closed.message == "the experiment was stopped by ada"
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


def test_what_was_validated_when_the_search_is_closed_counts(
    train: Any, begin: Begin, engine: Any, store: Store
) -> None:
    experiment = begin(scheduler={"name": "asha", "min_epochs": 5})

    def stop(supervisor: Any, poll: int) -> None:
        if poll == 3:  # all have validated, and none has come to its first rung
            end_search(store, experiment, "enough")

    engine.on_poll = stop
    train(experiment)
    search = driver_of(store, experiment).search
    assert search.best is not None
    assert search.best.epoch in {1, 2}
    assert "the best is trial" in search.ending


def test_a_person_who_pauses_a_run_at_its_rung_holds_it(train: Any, begin: Begin, engine: Any, store: Store) -> None:
    experiment = begin()
    held: list[str] = []

    def hold(supervisor: Any, poll: int) -> None:
        waiting = [run for run in runs_of(store, experiment) if run.waits_for_search]
        if waiting and not held:
            (outcome,) = request(store, [waiting[0].id], Pause(), actor="ada", timeout=0)
            assert outcome.result is Result.DONE
            held.append(waiting[0].id)
            run = store.runs.get(held[0])
            assert (run.state, run.why, run.waits_for_search) == (S.PAUSED, "ada asked to pause", False)

    engine.on_poll = hold
    train(experiment)
    assert store.runs.get(held[0]).epoch < 3, "it never trained on"
    kinds = [event.payload.type for event in store.events.read(run_id=held[0])]
    assert kinds.count("control.requested") == kinds.count("control.acknowledged") > 0
