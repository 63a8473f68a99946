"""Runs: found by any name a user may type, listed fast, cloned with a warm start that outlives the parent, deleted."""

import shutil

import pytest
from sqlalchemy import event, func, insert, select

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Pause, Resume
from modelyard.domain.errors import ConflictError, NotFoundError, StoreError, UserError
from modelyard.domain.ports import Point, Validation
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.store import schema
from modelyard.store.experiments import new_run

STOPPED = Reason(code=ReasonCode.USER_REQUEST, message="stopped")


def test_found_by_id_name_and_prefix(store, sweep):
    sweep(store, 2)
    run = store.runs.list()[1]
    for ref in (run.id, run.id[:8], "sweep-2"):
        assert store.runs.get(ref) == run
    with pytest.raises(NotFoundError, match="did you mean 'sweep-"):
        store.runs.get("sweep-11")
    with pytest.raises(NotFoundError):
        store.runs.get(run.id[:3])


def test_a_prefix_of_two_ids_is_refused(store, sweep):
    sweep(store, 2)
    with store.database.write() as connection:
        for key, run_id in ((1, "abcd1"), (2, "abcd2")):
            connection.execute(schema.runs.update().where(schema.runs.c.key == key).values(id=run_id))
    with pytest.raises(UserError, match="more than one run"):
        store.runs.get("abcd")
    assert store.runs.get("abcd2").name == "sweep-2"


def test_resolve_takes_a_run_or_all_runs_of_an_experiment(store, sweep):
    sweep(store, 2, name="a")
    sweep(store, 1, name="b")
    assert [run.name for run in store.runs.resolve("a")] == ["a-1", "a-2"]
    assert [run.name for run in store.runs.resolve("a-2")] == ["a-2"]
    with pytest.raises(NotFoundError, match="no run 'c'"):
        store.runs.resolve("c")


def test_resolve_refuses_a_name_that_means_two_things(store, sweep):
    sweep(store, 2, name="a")
    second = sweep(store, 1, name="a-2")
    with pytest.raises(UserError, match=r"is a run .* and an experiment"):
        store.runs.resolve("a-2")
    assert [run.name for run in store.runs.resolve(second.id)] == ["a-2-1"]


def test_list_filters(store, sweep, claim):
    a, b = sweep(store, 2, name="a"), sweep(store, 1, name="b", project="other")
    claim(store)
    names = lambda **filters: [run.name for run in store.runs.list(**filters)]  # noqa: E731
    assert names() == ["a-1", "a-2", "b-1"]
    assert names(experiment_id=a.id) == ["a-1", "a-2"]
    assert names(project="other") == ["b-1"]
    assert names(states={RunState.RUNNING}) == ["a-1"]
    assert names(states={RunState.QUEUED}, experiment_id=b.id) == ["b-1"]
    assert names(states=set()) == []
    assert names(limit=2) == ["a-2", "b-1"]


def test_a_list_of_1500_runs_with_50_metrics_takes_one_query(store, sweep):
    experiment = sweep(store)
    _fill(store, experiment.id, 1499)
    statements = []
    engine = store.database._engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    runs = store.runs.list()
    assert len([text for text in statements if text.startswith("SELECT")]) == 1
    assert len(runs) == 1500
    assert runs[-1].summary["metric_49"] == pytest.approx(49 * 1.1)


def _fill(store, experiment_id, count):
    with store.database.write() as connection:
        summary = "{" + ", ".join(f'"metric_{i}": {i * 1.1}' for i in range(50)) + "}"
        reason = Reason(code=ReasonCode.CREATED, message="filled")
        key = connection.execute(select(schema.experiments.c.key)).scalar_one()
        rows = [
            new_run(RunSpec(), experiment_key=key, project="p", name=f"r-{n}", reason=reason, summary=summary)
            for n in range(count)
        ]
        connection.execute(insert(schema.runs), rows)


def test_clone_is_queued_with_the_next_number_and_its_own_spec(store, sweep):
    experiment = sweep(store, 2)
    parent = store.runs.list()[0]
    clone = store.runs.clone(parent.id, RunSpec(seed=99), priority=7, actor="ada")
    assert (clone.name, clone.experiment_id, clone.parent_id) == ("sweep-3", experiment.id, parent.id)
    assert (clone.spec.seed, clone.state, clone.reason.code) == (99, RunState.QUEUED, ReasonCode.CLONED)
    assert (clone.priority, clone.warm_start) == (7, None)
    assert store.experiments.get(experiment.id).run_count == 3
    assert store.runs.get(parent.id) == parent


def test_a_number_is_never_given_twice(store, sweep):
    sweep(store, 1)
    first = store.runs.get("sweep-1")
    clone = store.runs.clone(first.id, RunSpec(), actor="ada")
    store.runs.delete(clone.id, actor="ada")
    assert store.runs.clone(first.id, RunSpec(), actor="ada").name == "sweep-3"


def test_a_warm_start_survives_its_parent(store, sweep, claim, draft):
    parent, lease = claim(store)
    five, six = draft(store, 5), draft(store, 6)
    with store.write(lease) as write:
        saved = write.checkpoint(five, keep=1)
    clone = store.runs.clone(parent.id, RunSpec(seed=1), warm_start=saved.id[:6], inherit_optimizer=True, actor="a")
    assert (clone.warm_start, clone.inherit_optimizer) == (saved.id, True)
    assert store.checkpoints.list(clone.id) == []
    with store.write(lease) as write:
        write.checkpoint(six, keep=1)
        write.transition(RunState.FAILED, STOPPED)
    assert [checkpoint.step for checkpoint in store.checkpoints.list(parent.id)] == [6]
    store.runs.delete(parent.id, actor="ada")
    start = store.checkpoints.get(clone.warm_start)
    assert (start.run_id, start.step, start.files) == (parent.id, 5, saved.files)
    assert _referenced(store) == {blob.digest for blob in saved.files.values()}
    store.runs.delete(clone.id, actor="ada")
    assert _referenced(store) == set()


def test_a_warm_start_must_be_usable(store, claim, draft):
    parent, lease = claim(store)
    weights, whole = draft(store, 5, best=True, resumable=False), draft(store, 6)
    with store.write(lease) as write:
        weights_only = write.checkpoint(weights, keep=1)
        broken = write.checkpoint(whole, keep=1)
        write.corrupt(broken.id, digest="sha256:", message="bad")
    attempts = [
        (NotFoundError, {"warm_start": "nothing"}),
        (ConflictError, {"warm_start": broken.id}),
        (UserError, {"warm_start": weights_only.id, "inherit_optimizer": True}),
        (UserError, {"inherit_optimizer": True}),
    ]
    for error, arguments in attempts:
        with pytest.raises(error):
            store.runs.clone(parent.id, RunSpec(), actor="ada", **arguments)
    assert len(store.runs.list()) == 1
    assert store.runs.clone(parent.id, RunSpec(), warm_start=weights_only.id, actor="ada").warm_start


def test_delete_leaves_no_row_and_no_file_and_touches_nobody_else(store, sweep, claim, draft):
    sweep(store, 2)
    (doomed, lease), (kept, kept_lease) = claim(store), claim(store)
    for run, held in ((doomed, lease), (kept, kept_lease)):
        saved = draft(store, 7 if run is doomed else 8, best=True)
        plot = store.blobs.put([b"a plot"])
        with store.write(held) as write:
            write.points([Point("loss", step, 0.0, 1.0) for step in range(5000)])
            write.lines(["a line"])
            write.checkpoint(saved, keep=1)
            write.artifact("plot", plot, step=7)
            write.validations([Validation(1, 7, {"val_loss": 1.0})])
        store.runs.request(run.id, Pause(), actor="ada")
        with store.write(held) as write:
            write.transition(RunState.PAUSED, STOPPED)
        (store.home.scratch(run.id) / "folder").mkdir()
    store.runs.delete(doomed.id, actor="ada")
    with pytest.raises(NotFoundError):
        store.runs.get(doomed.id)
    assert [path.name for path in store.home.scratch_root.iterdir()] == [kept.id]
    counts = _row_counts(store)
    store.runs.request(kept.id, Resume(), actor="ada")
    store.runs.delete(kept.id, actor="ada")
    assert set(_row_counts(store).values()) == {0}
    assert min(counts.values()) > 0, "the other run kept a row in every table"
    deleted = [event.payload for event in store.events.read(run_id=doomed.id)][-1]
    assert (deleted.type, deleted.name, deleted.freed_checkpoints) == ("run.deleted", doomed.name, 1)


def test_a_run_whose_folder_cannot_be_removed_stays_whole(store, sweep, monkeypatch):
    sweep(store)
    run = store.runs.list()[0]
    scratch = store.home.scratch(run.id)

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        with pytest.raises(StoreError, match="Permission denied"):
            store.runs.delete(run.id, actor="ada")
    assert store.runs.list() == [run]
    store.runs.delete(run.id, actor="ada")
    assert not scratch.exists()


def test_an_active_run_cannot_be_deleted(store, claim):
    run, lease = claim(store)
    with pytest.raises(ConflictError, match="stop it first"):
        store.runs.delete(run.id, actor="ada")
    with store.write(lease) as write:
        write.lines(["still mine"])


def _referenced(store):
    with store.database.read() as connection:
        return set(connection.execute(select(schema.blob_refs.c.digest)).scalars())


def _row_counts(store):
    """Count the rows of every table that a run owns rows in, by way of foreign keys."""
    owned = [
        table
        for table in schema.metadata.sorted_tables
        if table.name not in {"runs", "search_log", "tokens", "logins", "alerts"} and table.foreign_keys
    ]
    with store.database.read() as connection:
        return {table.name: connection.execute(select(func.count()).select_from(table)).scalar() for table in owned}


def test_states_are_counted_by_experiment(store, sweep, claim):
    a, b = sweep(store, 2, name="a"), sweep(store, 1, name="b")
    claim(store)
    assert store.runs.count_states() == {
        a.id: {RunState.QUEUED: 1, RunState.RUNNING: 1},
        b.id: {RunState.QUEUED: 1},
    }
