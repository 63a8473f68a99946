"""A queued run waits for another one that trains its first steps, and gets all of what that did; or waits no more."""

from typing import Any

import pytest

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause, Resume, SetPriority, Stop, Tune
from modelyard.domain.events import PastShared
from modelyard.domain.ports import Point, Validation
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.store import Follower

LONG = 5000
"""More points than a chunk has."""


@pytest.fixture
def group(store):
    """Three runs that may begin alike, the first of which leads, and its lease; and one that may not."""
    specs = [RunSpec.model_validate({"training": {"epochs": epochs}}) for epochs in (1, 2, 3)]
    sweep = SweepSpec(name="group")
    experiment = store.experiments.create(sweep, [*specs, RunSpec(seed=1)], actor="tester")
    runs = store.runs.list(experiment_id=experiment.id)
    worker = store.leases.register()
    ((leader, lease),) = store.leases.claim(worker, limit=1)
    assert leader.id == runs[0].id
    return runs, lease


def begin(store, lease, *followers, start_step=0):
    with store.write(lease) as write:
        write.begin(
            start_step=start_step, checkpoint_id=None, total_steps=LONG, execution="solo", device="cpu", reason=""
        )
        write.lead([Follower(run_id=run.id, fork_step=90, total_steps=200) for run in followers])


def claimable(store, **options):
    claimed = store.leases.claim(store.leases.register(), limit=9, **options)
    return [run.name for run, _ in claimed]


def test_who_may_follow_is_left_alone_while_its_leader_is_opened_and_trains(store, group):
    runs, lease = group
    assert [run.id for run in store.runs.may_follow(runs[0])] == [run.id for run in runs[1:3]]
    assert store.leases.awaited()
    assert claimable(store) == ["group-4"]
    begin(store, lease, runs[1])
    assert store.runs.get(runs[1].id).notice == "waits for group-1, which trains the first steps of both, up to 90"
    assert store.runs.get(runs[1].id).total_steps == 200
    assert store.runs.may_follow(runs[0]) == [store.runs.get(runs[2].id)]
    assert claimable(store, idle=True) == ["group-3"], "it was opened and leads only the other one"


def test_all_of_it_is_handed_over_as_the_followers_own(store, group, draft):
    runs, lease = group
    begin(store, lease, runs[1], runs[2])
    confusion = store.blobs.put([b"{}"])
    drafts = [draft(store, 10, best=True, resumable=False), draft(store, LONG)]
    with store.write(lease) as write:
        write.fingerprints({"data": "abc"})
        write.points([Point("train_loss", step, 1.5, 1 / (step + 1)) for step in range(LONG)])
        write.points([Point("samples_per_second", 10, 1.5, 9.0), Point("val_loss", 10, 1.5, float("nan"))])
        write.artifact("val/confusion", confusion, step=10)
        write.validations([Validation(1, 10, {"val_loss": 0.5}, b"xy")])
        write.validations([Validation(9, LONG + 1, {"val_loss": 0.1})])  # left by an attempt that was lost
        write.progress(step=LONG, epoch=3, total_steps=LONG)
        for saved in drafts:
            write.checkpoint(saved, keep=1)
        write.hand_over([runs[1].id])
    leader, follower, other = (store.runs.get(run.id) for run in runs[:3])
    assert (follower.state, follower.step, follower.epoch, follower.attempt) == (RunState.QUEUED, LONG, 3, 0)
    assert (follower.shared_steps, follower.shared_with, follower.notice) == (LONG, "group-1", "")
    assert (other.step, bool(other.notice)) == (0, True), "it was not its turn"
    event = store.events.read()[-1]
    assert event.run_id == follower.id
    assert event.payload == PastShared(run_id=leader.id, name="group-1", steps=LONG)

    with store.write(lease) as write:
        write.transition(RunState.COMPLETED, Reason(code=ReasonCode.FINISHED, message="over"))
    checkpoints = store.checkpoints.list(follower.id)
    for own, copy in zip(store.checkpoints.list(leader.id), checkpoints, strict=True):
        assert (own.step, own.tags, own.files, own.resumable) == (copy.step, copy.tags, copy.files, copy.resumable)
        assert (copy.run_id, copy.attempt, own.id == copy.id) == (follower.id, 0, False)
    expected = histories(store, leader)
    assert [len(steps) for steps, _ in expected.values()] == [LONG, 1]
    store.runs.delete(leader.id, actor="tester")
    store.gc.collect()
    assert histories(store, follower) == expected
    assert store.searches.evaluations(follower.id) == {1: {"val_loss": 0.5}}
    assert store.searches.scores(follower.id, 1) == b"xy"
    assert follower.fingerprints == {"data": "abc"}
    kept = [*(blob for one in checkpoints for blob in one.files.values())]
    for blob in [*kept, store.artifacts.get(follower.id, "val/confusion")[0]]:
        with store.blobs.open(blob.digest) as file:
            assert len(file.read()) == blob.size


def histories(store, run) -> dict[str, Any]:
    found = {}
    for name in store.metrics.names(run.id):
        if name != "samples_per_second":
            history = store.metrics.history(run.id, name)
            found[name] = (history.steps.tolist(), [repr(value) for value in history.values.tolist()])
    return found


def test_what_an_earlier_leader_handed_over_is_replaced(store, group, draft):
    runs, lease = group
    begin(store, lease, runs[1], runs[2])
    for step, run in ((5, runs[1]), (5, runs[2])):
        saved = draft(store, step, best=True)
        with store.write(lease) as write:
            write.points([Point("loss", step, 1.5, 1.0)] if run is runs[1] else [])
            write.progress(step=step, epoch=0, total_steps=LONG)
            write.checkpoint(saved, keep=2)
            write.hand_over([run.id])
    assert claimable(store) == ["group-4"], "idle processes first"
    ((second, lease),) = store.leases.claim(store.leases.register(), limit=1, idle=True)
    assert second.id == runs[1].id
    begin(store, lease, runs[2], start_step=5)
    saved = draft(store, 7)
    with store.write(lease) as write:
        write.points([Point("loss", 7, 1.5, 0.5)])
        write.progress(step=7, epoch=1, total_steps=LONG)
        write.checkpoint(saved, keep=2)
        write.hand_over([runs[2].id])
    third = store.runs.get(runs[2].id)
    assert (third.shared_steps, third.shared_with) == (7, "group-2")
    assert store.metrics.history(third.id, "loss").steps.tolist() == [5, 7]
    assert sorted(one.step for one in store.checkpoints.list(third.id)) == [5, 7]


@pytest.mark.parametrize("how", ["pause", "stop", "tune", "lost", "failed", "released"])
def test_nobody_waits_for_a_run_that_does_not_train_as_its_config_says(store, group, how):
    runs, lease = group
    begin(store, lease, runs[1])
    if how == "lost":
        store.leases.unregister(lease.worker_id)
    elif how in {"failed", "released"}:
        with store.write(lease) as write:
            to = RunState.FAILED if how == "failed" else RunState.QUEUED
            write.transition(to, Reason(code=ReasonCode.RELEASED, message="gone"))
    else:
        op = {"pause": Pause(), "stop": Stop(), "tune": Tune(learning_rate=0.1)}[how]
        store.runs.request(runs[0].id, op, actor="tester")
    assert store.runs.get(runs[1].id).notice == ""
    assert "group-2" in claimable(store)


@pytest.mark.parametrize("op", [Pause(), Tune(learning_rate=0.1), SetPriority(priority=1)])
def test_who_is_asked_for_something_else_waits_no_more(store, group, op):
    runs, lease = group
    begin(store, lease, runs[1])
    store.runs.request(runs[1].id, op, actor="tester")
    if isinstance(op, Pause):
        store.runs.request(runs[1].id, Resume(), actor="tester")
    assert "group-2" in claimable(store)
    with store.write(lease) as write:
        write.hand_over([runs[1].id])
    assert not store.runs.get(runs[1].id).shared_steps


def test_a_tuned_run_leads_nobody(store, group):
    runs, lease = group
    store.runs.request(runs[0].id, Tune(learning_rate=0.1), actor="tester")
    begin(store, lease, runs[1])
    assert store.runs.get(runs[1].id).notice == ""


def test_trials_of_a_search_and_warm_starts_share_nothing(store, group, draft):
    runs, lease = group
    begin(store, lease)
    first = draft(store, 1)
    with store.write(lease) as write:
        saved = write.checkpoint(first, keep=1)
    spec = RunSpec.model_validate({"training": {"epochs": 7}})
    assert store.runs.clone(runs[0].id, spec, actor="tester").past == runs[0].past
    assert store.runs.clone(runs[0].id, spec, warm_start=saved.id, actor="tester").past == ""
    trials = store.experiments.create(SweepSpec(name="search"), [spec, spec], until_epochs=[1, 1], actor="tester")
    assert [run.past for run in store.runs.list(experiment_id=trials.id)] == ["", ""]
