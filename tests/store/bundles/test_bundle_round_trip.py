"""A bundle carries everything that can be read of an experiment, out of any database and into any other."""

import math
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.api.bundles import Kept, export_bundle, import_bundle
from modelyard.api.targets import find_target
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause, Tune
from modelyard.domain.errors import ConflictError, UserError
from modelyard.domain.ports import Point, Validation
from modelyard.domain.run import FINAL, Reason, ReasonCode, RunState
from modelyard.domain.sample_scores import pack_scores
from modelyard.store import LeaseObserver, open_store

DONE = Reason(code=ReasonCode.FINISHED, message="finished")


def begin(store, lease, step, checkpoint=None):
    with store.write(lease) as write:
        how = {"execution": "solo", "device": "cpu", "reason": "a test"}
        write.begin(start_step=step, checkpoint_id=checkpoint, total_steps=100, **how)


def train(store, lease, steps, *, draft=None, scale=1.0):
    """Write a bit of everything for these steps; save a checkpoint after the last one."""
    saved = None if draft is None else draft(store, steps[-1], best=True)
    plot = store.blobs.put([f'{{"step": {steps[-1]}}}'.encode()])
    with store.write(lease) as write:
        write.points([Point("loss", step, step / 10, scale / (step + 1)) for step in steps])
        write.points([Point("odd/ä", steps[0], 0.5, math.nan), Point("odd/ä", steps[-1], 0.75, math.inf)])
        write.lines([f"step {steps[-1]} \N{SNOWMAN}", ""])
        write.artifact("val/plot", plot, step=steps[-1])
        scores = pack_scores([0.1, 0.9])
        write.validations([Validation(steps[-1], steps[-1], {"val_loss": 0.5, "bad": None}, scores)])
        write.fingerprints({"data": "abc", "code": "def"})
        write.progress(step=steps[-1], epoch=0, total_steps=100, total_epochs=5)
        if saved is not None:
            return write.checkpoint(saved, keep=2)
    return None


@pytest.fixture
def filled(sweep, claim, draft):
    """Give a function that fills a store with runs in many states; returns the experiment."""

    def fill(store):
        experiment = sweep(store, 4, name="mixed")
        first, lease = claim(store)
        train(store, lease, range(1, 30), draft=draft)
        tune = store.runs.request(first.id, Tune(learning_rate=0.5), actor="ada")
        with store.write(lease) as write:
            write.acknowledge(tune.id, applied_step=29)
        train(store, lease, range(30, 50))  # lost with its process
        store.leases.unregister(lease.worker_id)
        again, lease = claim(store, begin_at=None)
        assert again.id == first.id
        begin(store, lease, 29)
        saved = train(store, lease, range(30, 6000), draft=draft, scale=2.0)
        with store.write(lease) as write:
            write.transition(RunState.COMPLETED, DONE)
        paused, lease = claim(store)
        train(store, lease, range(1, 9), draft=draft)
        store.runs.request(paused.id, Pause(), actor="ada")
        with store.write(lease) as write:
            write.transition(RunState.PAUSED, Reason(code=ReasonCode.USER_REQUEST, message="asked for by ada"))
        store.runs.request(paused.id, Tune(epochs=9), actor="ada")
        _, lease = claim(store)
        with store.write(lease) as write:
            write.transition(RunState.FAILED, Reason(code=ReasonCode.ERROR, message="it\nbroke"))
        clone = store.runs.clone(first.id, RunSpec(seed=9), warm_start=saved.id, actor="bob")
        store.runs.request(clone.id, Pause(), actor="bob")
        store.runs.request(store.runs.get("mixed-4").id, Pause(), actor="bob")
        return experiment

    return fill


def without(value, *names):
    return {name: found for name, found in asdict(value).items() if name not in names}


def as_lists(series):
    return {name: [repr(one) for one in found.tolist()] for name, found in asdict(series).items()}


def run_readings(store, run):
    """Return all that the store tells of a run, but for the numbers that only one home has."""
    history = store.controls.history(run.id)
    names = store.metrics.names(run.id)
    checkpoints = store.checkpoints.list(run.id)
    numbers = {record.id: place for place, record in enumerate(history)}
    return {
        "run": {**without(run, "summary"), "spec": None},
        "summary": {name: repr(value + 0.0) for name, value in run.summary.items()},  # the sign of zero may go
        "checkpoints": checkpoints,
        "start": None if run.warm_start is None else store.checkpoints.get(run.warm_start),
        "artifacts": store.artifacts.list(run.id),
        "evaluations": store.searches.evaluations(run.id),
        "scores": [store.searches.scores(run.id, epoch) for epoch in store.searches.evaluations(run.id)],
        "names": names,
        "history": [as_lists(store.metrics.history(run.id, name)) for name in names],
        "raw": [as_lists(store.metrics.raw(run.id, name)) for name in names],
        "extremes": [store.metrics.extremes([run.id], name, lowest=True) for name in names],
        "logs": store.logs.read(run.id, limit=10**6),
        "requests": [(one.sequence, one.op, one.status, one.actor, one.applied_step, one.message) for one in history],
        "events": [
            (event.time, event.actor, event.payload.model_dump(exclude={"op_id"}), numbers.get(op_id(event)))
            for event in store.events.read(run_id=run.id, limit=10**6)
            if event.payload.type != "run.imported"
        ],
        "bytes": {blob.digest: read(store, blob) for one in checkpoints for blob in one.files.values()},
    }


def op_id(event):
    return getattr(event.payload, "op_id", None)


def read(store, blob):
    with store.blobs.open(blob.digest) as file:
        return file.read()


def readings(store, experiment_id):
    found = store.runs.list(experiment_id=experiment_id)
    experiment = store.experiments.get(experiment_id)
    return experiment, {run.name: run_readings(store, run) for run in found}


def charts_agree(one, other, run_id):
    for name in one.metrics.names(run_id):
        for buckets in (7, 1000):
            mine, theirs = (store.metrics.chart([run_id], name, buckets=buckets)[run_id] for store in (one, other))
            for column in ("steps", "minimum", "maximum", "last"):
                assert [repr(v) for v in getattr(mine, column)] == [repr(v) for v in getattr(theirs, column)]
            assert mine.mean == pytest.approx(theirs.mean, rel=1e-6, nan_ok=True)


def test_everything_comes_back_from_two_journeys(store, filled, tmp_path):
    """SQLite to the store under test and on to SQLite: so each database is read from and written to."""
    with open_store(tmp_path / "from") as source, open_store(tmp_path / "to") as target:
        experiment = filled(source)
        filled(store)  # so that keys, ids of requests and names are taken
        export_bundle(source, find_target(source, experiment.id), tmp_path / "a.zip", actor="ada")
        there = import_bundle(store, tmp_path / "a.zip", actor="eve")
        assert (there.original_name, there.experiment) == ("mixed", "mixed.2")
        export_bundle(store, find_target(store, experiment.id), tmp_path / "b.zip", actor="eve")
        back = import_bundle(target, tmp_path / "b.zip", actor="joe")
        assert (back.runs, back.present) == ([f"mixed.2-{number}" for number in range(1, 6)], [])
        expected, runs = readings(source, experiment.id)
        found, runs_there = readings(target, experiment.id)
        assert without(found, "name") == without(expected, "name")
        for run in runs.values():
            run["run"] |= {
                "name": run["run"]["name"].replace("mixed", "mixed.2"),
                "experiment": "mixed.2",
            }
        assert runs_there == {name.replace("mixed", "mixed.2"): run for name, run in runs.items()}
        for run in source.runs.list():
            charts_agree(source, target, run.id)
        assert target.gc.missing() == store.gc.missing() == []
        assert target.gc.collect().blobs == 0, "nothing is left over"


def test_ids_and_times_stay_and_the_feed_says_who_imported(sqlite_store, filled, tmp_path):
    experiment = filled(sqlite_store)
    export_bundle(sqlite_store, find_target(sqlite_store, "mixed"), tmp_path / "a.zip", actor="ada")
    with open_store(tmp_path / "to") as target:
        import_bundle(target, tmp_path / "a.zip", actor="joe")
        before = sqlite_store.events.read(experiment_id=experiment.id, limit=10**6)
        after = target.events.read(experiment_id=experiment.id, limit=10**6)
        assert [event.time for event in after[: len(before)]] == [event.time for event in before]
        told = after[len(before) :]
        assert {event.actor for event in told} == {"joe"}
        assert [event.payload.type for event in told] == ["experiment.imported"] + ["run.imported"] * 5
        assert [run.id for run in target.runs.list()] == [run.id for run in sqlite_store.runs.list()]


def test_importing_it_again_changes_nothing(store, filled, tmp_path):
    with open_store(tmp_path / "from") as source:
        filled(source)
        export_bundle(source, find_target(source, "mixed"), tmp_path / "a.zip", actor="ada")
        home = import_bundle(source, tmp_path / "a.zip", actor="joe")
        assert (home.runs, len(home.present)) == ([], 5), "where it comes from, all of it is there"
    first = import_bundle(store, tmp_path / "a.zip", actor="joe")
    seen = store.events.last_seq(), readings(store, first.experiment_id)
    second = import_bundle(store, tmp_path / "a.zip", actor="joe")
    assert (second.runs, second.experiment) == ([], "mixed")
    assert set(second.present) == set(first.runs)
    assert (store.events.last_seq(), readings(store, first.experiment_id)) == seen
    assert store.gc.collect().blobs == 0


def test_single_runs_of_an_experiment_come_together_again(store, filled, tmp_path):
    with open_store(tmp_path / "from") as source:
        experiment = filled(source)
        for name in ("mixed-1", "mixed-3", "mixed"):
            export_bundle(source, find_target(source, name), tmp_path / f"{name}.zip", actor="ada")
        expected = readings(source, experiment.id)[1]
    assert import_bundle(store, tmp_path / "mixed-3.zip", actor="joe").runs == ["mixed-3"]
    assert import_bundle(store, tmp_path / "mixed-1.zip", actor="joe").experiment_id == experiment.id
    assert [run.name for run in store.runs.list()] == ["mixed-3", "mixed-1"]
    rest = import_bundle(store, tmp_path / "mixed.zip", actor="joe")
    assert (sorted(rest.runs), sorted(rest.present)) == (["mixed-2", "mixed-4", "mixed-5"], ["mixed-1", "mixed-3"])
    assert readings(store, experiment.id)[1] == expected


@pytest.mark.parametrize(
    ("kept", "steps"), [(Kept.ALL, [5999, 29]), (Kept.LAST, [5999]), (Kept.BEST, [5999]), (Kept.NONE, [])]
)
def test_checkpoints_that_were_asked_for_go_along(sqlite_store, filled, tmp_path, kept, steps):
    filled(sqlite_store)
    export_bundle(sqlite_store, find_target(sqlite_store, "mixed"), tmp_path / "a.zip", kept=kept, actor="ada")
    with open_store(tmp_path / "to") as target:
        import_bundle(target, tmp_path / "a.zip", actor="joe")
        assert [one.step for one in target.checkpoints.list(target.runs.get("mixed-1").id)] == steps
        assert target.runs.get("mixed-1").step == 5999, "what it reached is known all the same"
        paused = target.runs.get("mixed-2")
        assert paused.step == (0 if kept is Kept.NONE else 8), "it goes on from what came"


def test_what_was_not_over_is_paused_at_what_it_had_saved(store, filled, claim, draft, tmp_path):
    with open_store(tmp_path / "from") as source:
        filled(source)
        active = {}
        for name, op in (("running", None), ("pausing", Pause())):
            source.experiments.create(SweepSpec(name=name), [RunSpec()], actor="ada")
            run, lease = claim(source)
            train(source, lease, range(1, 5), draft=draft)
            train(source, lease, range(5, 8))
            if op is not None:
                source.runs.request(run.id, op, actor="ada")
            active[name] = run.id
            done = export_bundle(source, find_target(source, run.id), tmp_path / f"{name}.zip", actor="ada")
            assert done.unfinished == [run.name]
        assert source.runs.get("running-1").state is RunState.RUNNING, "it trains on"
    for name, run_id in active.items():
        assert import_bundle(store, tmp_path / f"{name}.zip", actor="joe").paused == [f"{name}-1"]
        run = store.runs.get(run_id)
        assert (run.state, run.step, run.worker_id) == (RunState.PAUSED, 4, None)
        assert run.reason.code is ReasonCode.IMPORTED
        assert f"it was {name} in the home" in run.reason.message
        assert "go on from step 4" in run.reason.message
        assert store.controls.pending([run_id]) == [], "what was asked for is answered"
        assert import_bundle(store, tmp_path / f"{name}.zip", actor="joe").present == [f"{name}-1"]
    assert store.leases.claim(store.leases.register(), limit=9) == [], "nothing is queued by itself"


def test_requests_after_an_import_come_after_all_that_checkpoints_know(store, filled, tmp_path):
    """A tune is replayed if its number is above that in the checkpoint, which is one of the home it came from."""
    with open_store(tmp_path / "from") as source:
        filled(source)
        run_id = source.runs.get("mixed-2").id
        newest = [source.runs.request(run_id, Tune(learning_rate=0.1), actor="ada") for _ in range(20)][-1]
        export_bundle(source, find_target(source, "mixed"), tmp_path / "a.zip", actor="ada")
    import_bundle(store, tmp_path / "a.zip", actor="joe")
    run = store.runs.get("mixed-2")
    assert store.controls.history(run.id)[-1].sequence == newest.id
    assert store.runs.request(run.id, Tune(learning_rate=0.2), actor="joe").sequence > newest.id


def test_a_run_that_went_on_elsewhere_is_refused_by_who_has_less(store, sweep, claim, draft, tmp_path):
    with open_store(tmp_path / "from") as source:
        sweep(source)
        run, lease = claim(source)
        train(source, lease, range(1, 5), draft=draft)
        export_bundle(source, find_target(source, run.id), tmp_path / "early.zip", actor="ada")
        train(source, lease, range(5, 9), draft=draft)
        export_bundle(source, find_target(source, run.id), tmp_path / "late.zip", actor="ada")
    import_bundle(store, tmp_path / "early.zip", actor="joe")
    seen = store.events.last_seq()
    with pytest.raises(ConflictError, match="is here already, at step 4 of attempt 1; the bundle has step 8"):
        import_bundle(store, tmp_path / "late.zip", actor="joe")
    assert store.events.last_seq() == seen
    store.runs.delete(run.id, actor="joe")
    assert import_bundle(store, tmp_path / "late.zip", actor="joe").runs == [run.name]
    assert import_bundle(store, tmp_path / "early.zip", actor="joe").present == [run.name]
    store.leases.reap(LeaseObserver())


def test_other_things_with_the_same_ids_are_refused(sqlite_store, filled, tmp_path):
    from modelyard.store import schema

    experiment = filled(sqlite_store)
    run = sqlite_store.runs.get("mixed-1")
    export_bundle(sqlite_store, find_target(sqlite_store, "mixed"), tmp_path / "a.zip", actor="ada")
    changes = [
        (schema.experiments, {"sweep_hash": "0" * 64}, "another experiment, mixed, has the id"),
        (schema.runs, {"spec_hash": "0" * 64}, r"another run, mixed-\d, has the id"),
        (schema.attempts, {"worker_id": "other"}, "trained on in another way"),
    ]
    for table, values, message in changes:
        with open_store(tmp_path / f"to-{table.name}") as target:
            import_bundle(target, tmp_path / "a.zip", actor="joe")
            with target.database.write() as connection:
                connection.execute(table.update().values(**values))
            seen = target.events.last_seq()
            with pytest.raises(ConflictError, match=message):
                import_bundle(target, tmp_path / "a.zip", actor="joe")
            assert target.events.last_seq() == seen
    with open_store(tmp_path / "checkpoint") as target:
        import_bundle(target, tmp_path / "a.zip", actor="joe")
        target.runs.delete(run.id, actor="joe")
        with target.database.write() as connection:
            connection.execute(schema.checkpoints.update().values(files="{}"))
        with pytest.raises(ConflictError, match="another checkpoint has the id"):
            import_bundle(target, tmp_path / "a.zip", actor="joe")
    assert experiment.id == sqlite_store.experiments.get("mixed").id


def test_an_experiment_without_runs_has_nothing_to_export(sqlite_store, sweep, tmp_path):
    sweep(sqlite_store, 1, name="empty")
    sqlite_store.runs.delete(sqlite_store.runs.get("empty-1").id, actor="ada")
    with pytest.raises(UserError, match="empty has no runs"):
        export_bundle(sqlite_store, find_target(sqlite_store, "empty"), tmp_path / "a.zip", actor="ada")
    assert list(tmp_path.glob("*.zip")) == list(tmp_path.glob(".*tmp")) == []


values = st.floats(width=64) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])
batch = st.lists(st.tuples(st.integers(0, 40), values), min_size=1, max_size=30)
history = st.lists(st.tuples(st.integers(0, 40), st.lists(batch, max_size=3)), min_size=1, max_size=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=history)
def test_any_history_of_any_attempts_arrives_as_it_was(history, tmp_path_factory):
    folder = tmp_path_factory.mktemp("homes")
    with open_store(folder / "from") as source, open_store(folder / "to") as target:
        source.experiments.create(SweepSpec(name="any"), [RunSpec()], actor="ada")
        worker = source.leases.register()
        for start, batches in history:
            run, lease = source.leases.claim(worker, limit=1)[0]
            begin(source, lease, start)
            for points in batches:
                with source.write(lease) as write:
                    write.points([Point("m", step, step * 0.5, value) for step, value in points])
            with source.write(lease) as write:
                write.transition(RunState.QUEUED, Reason(code=ReasonCode.RELEASED, message="again"))
        run = source.runs.list()[0]
        export_bundle(source, find_target(source, run.id), folder / "a.zip", actor="ada")
        import_bundle(target, folder / "a.zip", actor="joe")
        mine, theirs = (run_readings(store, store.runs.get(run.id)) for store in (source, target))
        for name in ("names", "history", "raw", "extremes"):
            assert mine[name] == theirs[name]
        assert mine["summary"] == theirs["summary"]
        charts_agree(source, target, run.id)
        assert run.state not in FINAL
