"""What reports and comparisons read: extremes, events of many runs, names and checkpoints, each in few queries."""

import math
import time

import numpy as np
import pytest
from sqlalchemy import event

from modelyard.domain.control import Stop
from modelyard.domain.ports import Point
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.store.metrics import extremes as extremes_module


def log(store, lease, values, *, name="val_loss", steps=None):
    steps = range(1, len(values) + 1) if steps is None else steps
    with store.write(lease) as write:
        write.points([Point(name, int(step), time.time(), value) for step, value in zip(steps, values, strict=True)])


def test_an_extreme_is_the_first_step_that_has_the_value(store, claim):
    run, lease = claim(store)
    log(store, lease, [3.0, math.nan, 1.0, math.inf, 1.0, 2.0, -math.inf])
    lowest = store.metrics.extremes([run.id, "nobody"], "val_loss", lowest=True)
    assert {key: (found.step, found.value) for key, found in lowest.items()} == {run.id: (3, 1.0)}
    highest = store.metrics.extremes([run.id], "val_loss", lowest=False)[run.id]
    assert (highest.step, highest.value) == (1, 3.0)
    assert store.metrics.extremes([run.id], "val_los", lowest=True) == {}


def test_a_run_of_nothing_but_nan_has_no_extreme(store, claim):
    run, lease = claim(store)
    log(store, lease, [math.nan, math.inf])
    assert store.metrics.extremes([run.id], "val_loss", lowest=True) == {}


@pytest.mark.parametrize("most_points", [1 << 30, 0])
def test_the_extreme_of_a_long_sealed_run_is_exact(sqlite_store, claim, monkeypatch, most_points):
    monkeypatch.setattr(extremes_module, "_MOST_POINTS", most_points)
    run, lease = claim(sqlite_store)
    random = np.random.default_rng(0)
    values, steps = random.normal(size=30_000), np.arange(30_000) * 100 + 7
    log(sqlite_store, lease, values.tolist(), steps=steps)
    for lowest, place in ((True, values.argmin()), (False, values.argmax())):
        found = sqlite_store.metrics.extremes([run.id], "val_loss", lowest=lowest)[run.id]
        assert (found.step, found.value) == (steps[place], values[place])


def test_extremes_of_many_short_runs_take_as_many_queries_as_of_one(sqlite_store, sweep, claim):
    sweep(sqlite_store, 12)
    ids = []
    for number in range(12):
        run, lease = claim(sqlite_store)
        log(sqlite_store, lease, [1.0, 0.5 + number], steps=[1000, 5000])
        ids.append(run.id)
    counts = []
    for some in (ids[:1], ids):
        statements: list[str] = []
        note = lambda *args, into=statements: into.append(args[2])  # noqa: E731
        event.listen(sqlite_store.database._engine, "before_cursor_execute", note)
        assert len(sqlite_store.metrics.extremes(some, "val_loss", lowest=True)) == len(some)
        event.remove(sqlite_store.database._engine, "before_cursor_execute", note)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 8


def test_the_newest_events_of_some_types(store, sweep, claim):
    first = sweep(store, 2, name="first")
    other = sweep(store, 1, name="other")
    run, lease = claim(store)
    with store.write(lease) as write:
        write.transition(RunState.FAILED, Reason(code=ReasonCode.ERROR, message="boom"))
    types = {"run.created", "run.state_changed"}
    found = store.events.history([first.id], types, limit=100)
    assert [one.payload.type for one in found] == ["run.created"] * 2 + ["run.state_changed"] * 2
    assert [one.seq for one in found] == sorted(one.seq for one in found)
    assert [one.seq for one in store.events.history([first.id], types, limit=1)] == [found[-1].seq]
    assert {one.experiment_id for one in store.events.history([first.id, other.id], types, limit=9)} == {
        first.id, other.id
    }  # fmt: skip
    assert store.events.history([], types, limit=9) == []
    assert found[-1].run_id == run.id


def test_names_of_runs_that_exist(store, sweep):
    experiment = sweep(store, 2)
    ids = [run.id for run in store.runs.list(experiment_id=experiment.id)]
    assert store.runs.names([*ids, "gone"]) == {ids[0]: "sweep-1", ids[1]: "sweep-2"}
    assert store.runs.names([]) == {}


def test_checkpoints_by_id_also_when_only_a_clone_holds_them(store, claim, draft):
    run, lease = claim(store)
    made = draft(store, 7)
    with store.write(lease) as write:
        saved = write.checkpoint(made, keep=1)
    clone = store.runs.clone(run.id, run.spec, warm_start=saved.id, actor="ana")
    assert {key: found.run_id for key, found in store.checkpoints.named([saved.id, "gone"]).items()} == {
        saved.id: run.id
    }
    store.runs.request(clone.id, Stop(), actor="ana")
    with store.write(lease) as write:
        write.transition(RunState.FAILED, Reason(code=ReasonCode.ERROR, message="boom"))
    store.runs.delete(run.id, actor="ana")
    assert store.checkpoints.named([saved.id])[saved.id].step == 7
