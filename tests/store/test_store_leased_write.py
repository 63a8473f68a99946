"""What an owner writes is all there or not at all; checkpoints, tags and artifacts follow the rules of keeping."""

import math

import pytest
from sqlalchemy import select

from modelyard.domain.checkpoint import CheckpointDraft, CheckpointTag
from modelyard.domain.errors import NotFoundError, UserError
from modelyard.domain.events import CheckpointCorrupt
from modelyard.domain.ports import Point
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.store import schema

DONE = Reason(code=ReasonCode.FINISHED, message="done")
LAST, BEST = CheckpointTag.LAST, CheckpointTag.BEST


def points(*values, name="loss"):
    return [Point(name, step, 1.0, value) for step, value in enumerate(values)]


def steps_and_tags(store, run):
    return [(checkpoint.step, set(checkpoint.tags)) for checkpoint in store.checkpoints.list(run.id)]


def test_everything_of_one_write_becomes_visible_together(store, claim, draft):
    run, lease = claim(store)
    saved = draft(store, 3)
    with store.write(lease) as write:
        write.points(points(3.0, 2.0, 1.0))
        write.lines(["one", "two"])
        write.progress(step=3, epoch=1, total_steps=10)
        write.checkpoint(saved, keep=1)
        write.artifact("plot", saved.files["model.safetensors"], step=3)
        assert store.runs.get(run.id).step == 0
        assert store.logs.read(run.id) == []
        assert store.checkpoints.list(run.id) == []
    after = store.runs.get(run.id)
    assert (after.step, after.epoch, after.total_steps, after.summary) == (3, 1, 10, {"loss": 1.0})
    assert [line.text for line in store.logs.read(run.id)] == ["one", "two"]
    assert len(store.checkpoints.list(run.id)) == 1
    assert after.updated_at >= run.updated_at


def test_an_exception_rolls_everything_back(store, claim, draft):
    run, lease = claim(store)
    saved, before, seq = draft(store, 3), store.runs.get(run.id), store.events.last_seq()

    def fail():
        with store.write(lease) as write:
            write.points(points(1.0))
            write.lines(["one"])
            write.checkpoint(saved, keep=1)
            write.artifact("plot", saved.files["model.safetensors"], step=3)
            write.fingerprints({"data": "abc"})
            write.transition(RunState.COMPLETED, DONE)
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        fail()
    assert store.runs.get(run.id) == before
    assert store.events.last_seq() == seq
    assert store.logs.read(run.id) == []
    assert store.checkpoints.list(run.id) == []
    assert store.artifacts.list(run.id) == {}
    assert store.metrics.names(run.id) == []


def test_begin_tells_how_and_from_where_and_voids_later_points(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.points(points(5.0, 4.0, 3.0, 2.0))
        write.progress(step=3, epoch=0, total_steps=100)
        write.transition(RunState.QUEUED, DONE)
    run, _ = claim(store, begin_at=1)
    resumed = store.runs.get(run.id)
    assert (resumed.attempt, resumed.step) == (2, 1)
    assert resumed.summary == {"loss": 4.0}
    assert list(store.metrics.history(run.id, "loss").values) == [5.0, 4.0]
    started = [event.payload for event in store.events.read(run_id=run.id)][-1]
    assert (started.type, started.attempt, started.start_step) == ("run.attempt_started", 2, 1)


def test_a_metric_that_is_not_a_number_stays_so_in_the_list(store, claim):
    _, lease = claim(store)
    with store.write(lease) as write:
        write.points(points(math.inf, name="a") + points(math.nan, name="b"))
    summary = store.runs.list()[0].summary
    assert summary["a"] == math.inf
    assert math.isnan(summary["b"])


def test_a_final_state_ends_the_run_and_packs_its_metrics(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.points(points(1.0, 2.0))
        write.transition(RunState.COMPLETED, DONE)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.reason, ended.worker_id) == (RunState.COMPLETED, DONE, None)
    assert ended.ended_at is not None
    with store.database.read() as connection:
        assert connection.execute(select(schema.metric_tail)).all() == []
        attempt = connection.execute(select(schema.attempts)).one()
    assert attempt.ended_at is not None
    assert len(store.metrics.history(run.id, "loss").values) == 2


def test_fingerprints_are_set_once(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        assert write.fingerprints({"data": "abc"}) == {"data": "abc"}
    with store.write(lease) as write:
        assert write.fingerprints({"data": "changed", "code": "def"}) == {"data": "abc", "code": "def"}
    assert store.runs.get(run.id).fingerprints == {"data": "abc", "code": "def"}


def test_the_newest_and_the_best_checkpoints_are_kept(store, claim, draft):
    run, lease = claim(store)
    for step in range(1, 7):
        saved = draft(store, step, best=step in {1, 2})
        with store.write(lease) as write:
            write.checkpoint(saved, keep=2)
    assert steps_and_tags(store, run) == [(6, {LAST}), (5, set()), (2, {BEST})]
    assert store.checkpoints.find(run.id, "last").step == 6
    assert store.checkpoints.find(run.id, "best").step == 2
    assert store.checkpoints.find(run.id, 5).step == 5
    for missing in (4, "99"):
        with pytest.raises((NotFoundError, ValueError)):
            store.checkpoints.find(run.id, missing)
    assert referenced(store) == {store.checkpoints.find(run.id, s).files["model.safetensors"].digest for s in (6, 5, 2)}
    payloads = [event.payload for event in store.events.read(run_id=run.id)]
    assert [payload.step for payload in payloads if payload.type == "checkpoint.saved"] == [1, 2, 3, 4, 5, 6]


def test_weights_alone_are_kept_only_as_the_best(store, claim, draft):
    run, lease = claim(store)
    for step, best, resumable in ((1, False, True), (2, True, False), (3, True, False)):
        saved = draft(store, step, best=best, resumable=resumable)
        with store.write(lease) as write:
            write.checkpoint(saved, keep=1)
    assert steps_and_tags(store, run) == [(3, {BEST}), (1, {LAST})]
    saved = draft(store, 4, best=True)
    with store.write(lease) as write:
        write.checkpoint(saved, keep=1)
    assert steps_and_tags(store, run) == [(4, {LAST, BEST})]


def test_a_corrupt_checkpoint_gives_way_to_the_one_before(store, claim, draft):
    run, lease = claim(store)
    saved = []
    for step in (1, 2):
        saved.append(draft(store, step))
        with store.write(lease) as write:
            write.checkpoint(saved[-1], keep=2)
    bad = store.checkpoints.find(run.id, "last")
    with store.write(lease) as write:
        write.corrupt(bad.id, digest="sha256:00", message="bytes changed")
    assert steps_and_tags(store, run) == [(2, set()), (1, {LAST})]
    assert store.checkpoints.get(bad.id).corrupt
    event = store.events.read(run_id=run.id)[-1]
    assert event.payload == CheckpointCorrupt(checkpoint_id=bad.id, digest="sha256:00", message="bytes changed")
    third = draft(store, 3)
    with store.write(lease) as write:
        write.checkpoint(third, keep=2)
    assert steps_and_tags(store, run) == [(3, {LAST}), (1, set())]
    with pytest.raises(NotFoundError), store.write(lease) as write:
        write.corrupt("nothing", digest="", message="")


def test_a_checkpoint_is_found_by_id_and_prefix(store, claim, draft):
    run, lease = claim(store)
    saved = draft(store, 1)
    with store.write(lease) as write:
        recorded = write.checkpoint(saved, keep=2)
        again = write.checkpoint(saved, keep=2)
    assert recorded.size == saved.files["model.safetensors"].size
    assert store.checkpoints.get(recorded.id).files == saved.files
    assert store.checkpoints.get(again.id[:8]).id == again.id
    with pytest.raises(NotFoundError, match="no checkpoint 'zzzz'"):
        store.checkpoints.get("zzzz")
    with pytest.raises(NotFoundError, match="it has none yet"):
        store.checkpoints.find(store.runs.clone(run.id, run.spec, actor="a").id, "last")
    rows = schema.checkpoints
    with store.database.write() as connection:
        connection.execute(rows.update().where(rows.c.id == recorded.id).values(id="abcd1"))
        connection.execute(rows.update().where(rows.c.id == again.id).values(id="abcd2"))
    with pytest.raises(UserError, match="more than one checkpoint"):
        store.checkpoints.get("abcd")


def test_recording_a_checkpoint_releases_its_pins_and_a_clone_releases_none(store, claim):
    run, lease = claim(store)
    twice = [store.blobs.put([b"same bytes"]) for _ in range(2)]
    files = {"a": twice[0], "b": twice[1]}
    with store.write(lease) as write:
        saved = write.checkpoint(CheckpointDraft(step=1, epoch=0, files=files, metrics={}), keep=1)
    assert pins(store) == 0
    store.blobs.put([b"same bytes"])
    store.runs.clone(run.id, run.spec, warm_start=saved.id, actor="ada")
    assert pins(store) == 1, "the clone did not put that blob"


def test_an_artifact_is_kept_for_each_of_its_newest_steps(store, claim, monkeypatch):
    monkeypatch.setattr("modelyard.store.artifacts.KEPT_STEPS", 3)
    run, lease = claim(store)
    blobs = []
    for step, content in enumerate((b"oldest", b"old", b"new", b"new")):
        blobs.append(store.blobs.put([content]))
        with store.write(lease) as write:
            write.artifact("plot", blobs[-1], step=step)
    _, *kept = blobs
    assert store.artifacts.history(run.id) == {"plot": list(zip(kept, (1, 2, 3), strict=True))}
    assert store.artifacts.list(run.id) == {"plot": (kept[-1], 3)}
    assert store.artifacts.get(run.id, "plot") == (kept[-1], 3)
    assert store.artifacts.get(run.id, "plot", step=1) == (kept[0], 1)
    with pytest.raises(NotFoundError, match="of step 0; it has steps 1, 2, 3"):
        store.artifacts.get(run.id, "plot", step=0)
    assert referenced(store) == {blob.digest for blob in kept}
    assert pins(store) == 0
    with pytest.raises(NotFoundError, match="did you mean 'plot'"):
        store.artifacts.get(run.id, "plots")


def test_what_a_lost_attempt_left_of_later_steps_goes(store, claim):
    run, lease = claim(store)
    for step in (10, 20, 30, 20):
        blob = store.blobs.put([f"as of {step}".encode()])
        with store.write(lease) as write:
            write.artifact("plot", blob, step=step)
    assert [step for _, step in store.artifacts.history(run.id)["plot"]] == [10, 20]


def test_blobs_are_stored_before_a_write_not_inside(store, claim):
    _, lease = claim(store)
    with pytest.raises(AssertionError, match="store blobs before it"), store.write(lease):
        store.blobs.put([b"x"])


def referenced(store):
    with store.database.read() as connection:
        return set(connection.execute(select(schema.blob_refs.c.digest)).scalars())


def pins(store):
    with store.database.read() as connection:
        return len(connection.execute(select(schema.blob_pins.c.id)).all())
