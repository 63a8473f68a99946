"""What a report says: ranks, results, curves, events, clones."""

import math
from itertools import pairwise

import pytest
from sqlalchemy import event

from modelyard.api.report import collect_report
from modelyard.api.report.colors import color_and_dash
from modelyard.api.report.curves import MOST_CURVES
from modelyard.api.sweepfile import expand_at, read_sweep
from modelyard.domain.checkpoint import CheckpointDraft
from modelyard.domain.control import Pause, Tune
from modelyard.domain.errors import NotFoundError
from modelyard.domain.events import ExecutionChanged
from modelyard.domain.run import Reason, ReasonCode, RunState


def test_runs_are_ranked_by_their_best_value_with_its_epoch(make, made, report):
    found = report(
        make(
            [
                made({"val_accuracy": [0.1, 0.7, 0.6, 0.5]}),
                made({"val_accuracy": [0.1, 0.2, 0.9, 0.3]}),
                made(),
                made({"val_accuracy": [math.nan, math.nan]}, end=RunState.FAILED, why="boom"),
            ]
        )
    )
    assert (found.metric, found.lowest) == ("val_accuracy", False)
    assert [(run.name, run.rank) for run in found.runs] == [
        ("sweep-2", 1), ("sweep-1", 2), ("sweep-3", None), ("sweep-4", None)
    ]  # fmt: skip
    first = found.runs[0].result
    assert (first.best, first.best_step, first.best_epoch) == (0.9, 75, 8)
    assert (first.final, first.final_step, first.final_epoch) == (0.3, 100, 10)
    assert found.runs[2].result is None
    assert math.isnan(found.runs[3].result.final)
    assert found.runs[3].result.best is None
    assert [run.live for run in found.runs] == [False, False, True, False]
    assert found.runs[3].why == "boom"
    assert found.best.name == "sweep-2"


def test_a_chosen_metric_ranks_and_is_drawn_alone(make, made, report):
    experiment = make(
        [
            made({"val_accuracy": [0.9], "val_loss": [3.0, 2.0], "train_loss": [1.0]}),
            made({"val_accuracy": [0.8], "val_loss": [3.0, 1.0], "train_loss": [2.0]}),
        ]
    )
    found = report(experiment, metrics=["val_loss", "train_loss"])
    assert (found.metric, found.lowest) == ("val_loss", True)
    assert [run.name for run in found.runs] == ["sweep-2", "sweep-1"]
    assert [panel.metric for panel in found.panels] == ["val_loss", "train_loss"]
    default = report(experiment)
    assert [panel.metric for panel in default.panels] == ["val_accuracy", "val_loss", "train_loss"]
    with pytest.raises(NotFoundError, match="none of these runs has a metric 'val_los'; did you mean 'val_loss'"):
        report(experiment, metrics=["val_los"])


def test_a_mode_in_the_config_decides_what_is_better(make, made, report):
    spec = {"training": {"epochs": 10, "checkpoint": {"metric": "val_accuracy", "mode": "min"}}}
    found = report(make([made({"val_accuracy": [0.9]}, spec), made({"val_accuracy": [0.1]}, spec)]))
    assert found.lowest
    assert found.runs[0].name == "sweep-2"


def test_runs_without_any_metric_make_a_report(make, made, report):
    found = report(make([made(), made()]))
    assert (found.metric, found.best, found.panels, found.effects) == (None, None, (), ())
    assert [run.state for run in found.runs] == ["queued", "queued"]
    assert found.ways[0].execution == ""


def test_an_experiment_whose_runs_were_deleted_makes_a_report(store, make, made, report):
    experiment = make([made({"val_accuracy": [0.5]})])
    store.runs.delete(store.runs.get("sweep-1").id, actor="bob")
    found = report(store.experiments.get(experiment.id))
    assert found.title == "sweep"
    assert found.runs == ()


def test_spikes_of_a_long_run_are_in_its_few_buckets(make, made, report):
    values = [1.0 + 0.001 * (place % 7) for place in range(50_000)]
    values[31_337] = 900.0
    found = report(make([made({"train_loss": values}, steps=50_000)]))
    (panel,) = found.panels
    (curve,) = panel.curves
    assert len(curve.steps) <= 240
    assert panel.width > 100
    assert max(curve.maximum) == 900.0
    assert max(curve.mean) < 10
    assert panel.log, "900 is many times 1"


def test_of_very_many_runs_the_best_are_drawn(make, made, report):
    count = MOST_CURVES + 6
    found = report(make([made({"val_accuracy": [0.1, number / 100]}) for number in range(count)]))
    assert len(found.runs) == count
    assert found.drawn == len(found.panels[0].curves) == MOST_CURVES
    best = {run.id for run in found.runs[:MOST_CURVES]}
    assert {curve.run_id for curve in found.panels[0].curves} == best
    assert found.runs[0].name == f"sweep-{count}"


def test_number_of_queries_does_not_grow_with_the_runs(store, make, made):
    counts = []
    for size in (2, 20):
        experiment = make(
            [made({"val_accuracy": [0.1, 0.5], "train_loss": [1.0] * 50}) for _ in range(size)], name=f"of{size}"
        )
        runs = store.runs.list(experiment_id=experiment.id)
        clones = [store.runs.clone(run.id, run.spec, actor="ana") for run in runs[: size // 2]]
        statements: list[str] = []
        note = lambda *args, into=statements: into.append(args[2])  # noqa: E731
        event.listen(store.database._engine, "before_cursor_execute", note)
        found = collect_report(store, [*runs, *clones], experiments=[experiment])
        event.remove(store.database._engine, "before_cursor_execute", note)
        assert len(found.descents) == size // 2
        counts.append(len([one for one in statements if one.startswith("SELECT")]))
    assert counts[0] == counts[1] < 40


def test_what_happened_is_told_with_its_reason(store, make, made, report):
    boom = made({"val_accuracy": [0.5]}, end=RunState.FAILED, why="the loss was nan")
    experiment = make([boom, made({"val_accuracy": [0.5]}, end=None), made()])
    failed, running, doomed = store.runs.list(experiment_id=experiment.id)
    tune = store.runs.request(running.id, Tune(learning_rate=0.5), actor="bob")
    late = store.runs.request(running.id, Tune(epochs=11), actor="bob")
    pause = store.runs.request(running.id, Pause(), actor="bob")
    with store.write(make.leases[running.id]) as write:
        write.acknowledge(tune.id, applied_step=100)
        write.reject(late.id, message="all is done")
        write.acknowledge(pause.id, applied_step=100)
        write.transition(RunState.PAUSED, Reason(code=ReasonCode.USER_REQUEST, message="as bob asked"))
    store.runs.clone(failed.id, failed.spec, actor="eve")
    store.runs.delete(doomed.id, actor="mallory")
    told = [(one.kind.value, one.run, one.what) for one in report(store.experiments.get(experiment.id)).happenings]
    assert told == [
        ("failed", "sweep-1", "step 100: the loss was nan"),
        ("tuned", "sweep-2", "step 100: tune learning_rate=0.5, by bob"),
        ("refused", "sweep-2", "tune epochs=11, by bob: all is done"),
        ("paused", "sweep-2", "step 100: as bob asked"),
        ("cloned", "sweep-4", "by eve"),
        ("deleted", "sweep-3", "by mallory"),
    ]
    only = collect_report(store, [store.runs.get(running.id)])
    assert {one.run for one in only.happenings} == {"sweep-2"}, "other runs' events are not told"
    tuned = next(run for run in report(experiment).runs if run.name == "sweep-2")
    assert tuned.parameters["optimizer.learning_rate"] == 0.5


def test_a_lost_process_is_told(store, make, made, report):
    experiment = make([made({"val_accuracy": [0.5]}, end=None)])
    (run,) = store.runs.list(experiment_id=experiment.id)
    assert report(experiment).runs[0].live
    for worker in store.leases.workers():
        store.leases.unregister(worker.id)
    assert store.runs.get(run.id).state is RunState.QUEUED
    assert report(experiment).happenings[0].kind.value == "process lost"


def test_clones_name_their_parents_and_weights(store, make, made, report):
    experiment = make([made()])
    ((parent, lease),) = store.leases.claim(store.leases.register(), limit=1)
    files = {"model.safetensors": store.blobs.put([b"weights"])}
    with store.write(lease) as write:
        write.begin(start_step=0, checkpoint_id=None, total_steps=9, execution="solo", device="cpu", reason="only one")
        saved = write.checkpoint(CheckpointDraft(step=7, epoch=1, files=files, metrics={}), keep=1)
        write.transition(RunState.FAILED, Reason(code=ReasonCode.ERROR, message="boom"))
    store.runs.clone(parent.id, parent.spec, warm_start=saved.id, inherit_optimizer=True, actor="ana")
    store.runs.clone(parent.id, parent.spec, actor="ana")
    warm, cold = report(experiment).descents
    assert (warm.run, warm.parent) == ("sweep-2", "sweep-1")
    assert warm.warm_start == f"sweep-1 at step 7 (checkpoint {saved.id}) with the optimizer's state"
    assert (cold.parent, cold.warm_start) == ("sweep-1", None)
    store.runs.delete(parent.id, actor="ana")
    warm, cold = report(store.experiments.get(experiment.id)).descents
    assert warm.parent is None
    assert warm.warm_start.startswith("a deleted run at step 7")


def test_how_runs_were_trained_is_grouped(store, make, made, report):
    experiment = make([made({"val_accuracy": [0.5]}, end=None) for _ in range(3)])
    runs = store.runs.list(experiment_id=experiment.id)
    assert [(way.execution, way.runs, way.devices, way.gain) for way in report(experiment).ways] == [
        ("sliced", 3, ("cpu",), None)
    ]
    changed = ExecutionChanged(execution="stacked", stack_size=2, stack_gain=2.5, reason="2.5 times as fast")
    for run in runs[:2]:
        with store.write(make.leases[run.id]) as write:
            write.execution(changed, news=True)
    ways = [(way.execution, way.group, way.gain, way.runs, way.reason) for way in report(experiment).ways]
    assert ways == [("stacked", 2, 2.5, 2, "2.5 times as fast"), ("sliced", 1, None, 1, "because")]


def test_the_gain_of_compiled_runs_is_told(store, made, make, report):
    experiment = make([made({"val_accuracy": [0.5]}, end=None)])
    (run,) = store.runs.list(experiment_id=experiment.id)
    with store.write(make.leases[run.id]) as write:
        how = {"execution": "compiled", "device": "cpu", "reason": "it pays", "gain": 1.4}
        write.begin(start_step=0, checkpoint_id=None, total_steps=9, **how)
    assert [(way.execution, way.gain, way.reason) for way in report(experiment).ways] == [("compiled", 1.4, "it pays")]
    assert store.runs.get(run.id).how == "compiled (1.4x)"


def test_the_best_config_is_told_apart_from_the_base_and_can_be_trained_again(make, made, report, tmp_path):
    spec = {"optimizer": {"name": "sgd", "learning_rate": 0.25}, "seed": 3}
    best = report(make([made({"val_accuracy": [0.5]}, spec)])).best
    assert ("optimizer.learning_rate", 0.001, 0.25) in best.changes
    assert ("seed", 0, 3) in best.changes
    file = tmp_path / "again.yaml"
    file.write_text(best.recipe)
    (again,) = expand_at(read_sweep(file), str(file))
    assert (again.optimizer.name, again.optimizer.learning_rate, again.seed) == ("sgd", 0.25, 3)


def test_a_confusion_matrix_gives_figures_of_each_class(make, made, report):
    content = {"classes": ["cat", "dog", "eel"], "counts": [[8, 2, 0], [1, 9, 0], [0, 0, 0]]}
    artifacts = {"val/confusion_matrix": content, "test/confusion_matrix": {"matrix": [[1]]}}
    (confusion,) = report(make([made({"val_accuracy": [0.5]}, artifacts=artifacts)])).best.confusions
    assert (confusion.artifact, confusion.step) == ("val/confusion_matrix", 100)
    cat, _, eel = confusion.classes
    assert (cat.support, cat.recall, cat.precision) == (10, 0.8, 8 / 9)
    assert cat.f1 == pytest.approx(2 * 0.8 * (8 / 9) / (0.8 + 8 / 9))
    assert (eel.support, eel.recall, eel.precision, eel.f1) == (0, None, None, None)


def test_neighbouring_runs_differ_in_colour_and_dash_for_ever(store, make, made):
    make([made() for _ in range(40)])
    looks = {run.name: color_and_dash(run) for run in store.runs.list()}
    first = [looks[f"sweep-{number}"] for number in range(1, 33)]
    assert len(set(first)) == 32
    assert all(one[0] != other[0] and one[1] != other[1] for one, other in pairwise(first))
    store.runs.delete(store.runs.get("sweep-1").id, actor="ana")
    assert {run.name: color_and_dash(run) for run in store.runs.list()} == {
        name: look for name, look in looks.items() if name != "sweep-1"
    }
