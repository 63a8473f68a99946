"""Searches: entries are written once, trials are made once, and what a search decides is done once."""

from datetime import timedelta

import pytest

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause, Resume, Stop
from modelyard.domain.errors import NotFoundError
from modelyard.domain.events import SearchDecided
from modelyard.domain.parts.usercode import Custom
from modelyard.domain.ports import Validation
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.domain.search_log import (
    Closed,
    Decision,
    DecisionKind,
    Ending,
    Evaluation,
    Opened,
    Taken,
    Trained,
)
from modelyard.store import clock
from modelyard.store.searches import NewTrial, Used, _covered

S = RunState
RUNG = Reason(code=ReasonCode.RUNG, message="waits")
DECISION = Decision(kind=DecisionKind.START, trial=1, epoch=0, until=1, reason="trial 1")


@pytest.fixture
def trials(store):
    """Two trials that pause at epoch 1."""
    specs = [RunSpec(seed=seed) for seed in range(2)]
    experiment = store.experiments.create(SweepSpec(name="s"), specs, until_epochs=[1, 1], actor="ada")
    return experiment, store.runs.list(experiment_id=experiment.id)


@pytest.fixture
def waiting(store, trials):
    """The first of them, at its rung."""
    _, (run, _) = trials
    worker = store.leases.register()
    (_, lease), *_ = store.leases.claim(worker, limit=1)
    with store.write(lease) as write:
        write.progress(step=3, epoch=1, total_steps=9)
        write.validations([Validation(1, 3, {"val_loss": 0.5})])
        write.transition(S.PAUSED, RUNG)
    return store.runs.get(run.id)


def test_the_log_is_read_as_it_was_written(store, trials):
    experiment, _ = trials
    entries = [
        Opened(),
        Trained(trial=1, ending=Ending.REACHED, evaluations=(Evaluation(epoch=1, metrics={"val_loss": 0.1}),)),
        Taken(trial=1, message="resumed by ada"),
        Closed(message="stopped"),
    ]
    for number, entry in enumerate(entries, start=1):
        assert store.searches.append(experiment.id, number, entry, [])
    assert store.searches.log(experiment.id) == entries
    assert store.searches.log(experiment.id, after=2) == entries[2:]
    assert store.searches.log("gone") == []


def test_an_entry_that_somebody_else_wrote_first_is_refused_and_leaves_no_event(store, trials):
    experiment, _ = trials
    assert store.searches.append(experiment.id, 1, Opened(), [DECISION])
    assert not store.searches.append(experiment.id, 1, Closed(message="late"), [DECISION])
    assert not store.searches.append(experiment.id, 3, Closed(message="early"), [DECISION])
    assert store.searches.log(experiment.id) == [Opened()]
    events = [event.payload for event in store.events.read(experiment_id=experiment.id)]
    assert [one for one in events if isinstance(one, SearchDecided)] == [SearchDecided(decision=DECISION)]
    store.experiments.delete(experiment.id, actor="ada")
    with pytest.raises(NotFoundError):
        store.searches.append(experiment.id, 2, Opened(), [])


def test_a_trial_is_made_once_even_if_it_was_deleted(store, trials):
    experiment, (first, second) = trials
    assert [(run.trial, run.until_epoch, run.name) for run in (first, second)] == [(1, 1, "s-1"), (2, 1, "s-2")]
    store.runs.clone(first.id, RunSpec(seed=9), actor="ada")
    trial = NewTrial(number=3, spec=RunSpec(seed=7), until_epoch=None, message="trial 3 of the search")
    assert store.searches.add_trial(experiment.id, trial)
    assert not store.searches.add_trial(experiment.id, trial)
    run = store.runs.list(experiment_id=experiment.id)[-1]
    assert (run.name, run.trial, run.state, run.why) == ("s-4", 3, S.QUEUED, "trial 3 of the search")
    store.runs.delete(run.id, actor="ada")
    assert not store.searches.add_trial(experiment.id, trial)
    assert store.searches.last_trial(experiment.id) == 3
    with pytest.raises(NotFoundError):
        store.searches.last_trial("gone")


def test_a_run_that_waits_is_promoted_once(store, waiting):
    assert waiting.waits_for_search
    assert store.searches.evaluations(waiting.id) == {1: {"val_loss": 0.5}}
    assert store.searches.promote(waiting.id, 3, "the best of 3")
    assert not store.searches.promote(waiting.id, 9, "again")
    run = store.runs.get(waiting.id)
    assert (run.state, run.reason.code, run.why, run.until_epoch) == (S.QUEUED, ReasonCode.PROMOTED, "the best of 3", 3)


def test_a_run_that_a_person_paused_is_promoted_when_that_person_resumes_it(store, trials):
    _, (run, _) = trials
    store.runs.request(run.id, Pause(), actor="ada")
    assert store.searches.promote(run.id, 3, "the best")
    assert store.runs.get(run.id).state is S.PAUSED
    store.runs.request(run.id, Resume(), actor="ada")
    assert store.runs.get(run.id).until_epoch == 3


@pytest.mark.parametrize("asked", [Pause(), Stop()])
def test_a_person_who_asks_at_the_very_rung_is_obeyed(store, trials, asked):
    _, (run, _) = trials
    worker = store.leases.register()
    (_, lease), *_ = store.leases.claim(worker, limit=1)
    store.runs.request(run.id, asked, actor="ada")
    with store.write(lease) as write:
        write.transition(S.PAUSED, RUNG)
    ended = store.runs.get(run.id)
    assert ended.state is (S.PAUSED if isinstance(asked, Pause) else S.STOPPED)
    assert ended.reason.code is ReasonCode.USER_REQUEST
    assert not ended.waits_for_search


def test_a_run_is_ended_with_its_reason_wherever_it_is(store, trials, waiting):
    _, (_, queued) = trials
    assert store.searches.stop(waiting.id, "7th of 12")
    assert store.searches.stop(queued.id, "the budget is used up")
    assert not store.searches.stop(waiting.id, "again")
    for run, message in ((waiting, "7th of 12"), (queued, "the budget is used up")):
        ended = store.runs.get(run.id)
        assert (ended.state, ended.reason) == (S.STOPPED, Reason(code=ReasonCode.SEARCH, message=message))


def test_a_run_in_training_is_asked_to_stop(store, trials):
    _, (run, _) = trials
    store.leases.claim(store.leases.register(), limit=1)
    assert store.searches.stop(run.id, "the budget is used up")
    (request,) = store.controls.pending([run.id])
    assert request.op == Stop(reason="the budget is used up")
    assert store.runs.get(run.id).reason.code is ReasonCode.SEARCH
    assert not store.searches.stop(run.id, "again")


def test_a_run_that_was_ended_and_is_resumed_belongs_to_its_person(store, waiting):
    store.searches.stop(waiting.id, "7th of 12")
    store.runs.request(waiting.id, Resume(), actor="ada")
    assert store.runs.get(waiting.id).until_epoch is None


def test_an_evaluation_done_again_takes_the_place_of_the_one_before(store, trials, waiting):
    store.searches.promote(waiting.id, 3, "on")
    (_, lease), *_ = store.leases.claim(store.leases.register(), limit=1)
    with store.write(lease) as write:
        write.validations([Validation(1, 3, {"val_loss": 0.25})])
        write.validations([Validation(2, 6, {})])
    assert store.searches.evaluations(waiting.id) == {1: {"val_loss": 0.25}, 2: {}}


def test_time_is_counted_once_where_it_overlaps(store, trials, monkeypatch):
    now = clock.now()
    span = lambda start, end: (now + timedelta(seconds=start), now + timedelta(seconds=end))  # noqa: E731
    assert _covered([span(5, 7), span(0, 2), span(1, 3), span(6, 6.5)]) == 5.0
    experiment, _ = trials
    assert store.searches.used(experiment.id) == Used(seconds=0.0, device_seconds=0.0)
    moments = [now]
    monkeypatch.setattr("modelyard.store.clock.now", lambda: moments[0])
    for _ in range(2):
        store.leases.claim(store.leases.register(), limit=1)
    moments[0] = now + timedelta(seconds=10)
    assert store.searches.used(experiment.id) == Used(seconds=10.0, device_seconds=20.0)


def test_a_later_trial_keeps_the_code_that_it_needs(store):
    digest = store.blobs.put([b"class Task: ..."]).digest
    spec = RunSpec(task="custom", custom=Custom(file="task.py", class_name="Task", code=digest))
    experiment = store.experiments.create(SweepSpec(name="own"), [spec], until_epochs=[1], actor="ada")
    (first,) = store.runs.list(experiment_id=experiment.id)
    assert store.searches.add_trial(experiment.id, NewTrial(number=2, spec=spec, until_epoch=1, message="trial 2"))
    store.runs.delete(first.id, actor="ada")
    store.gc.collect(actor="ada")
    assert store.blobs.exists(digest)
