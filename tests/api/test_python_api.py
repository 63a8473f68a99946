"""``Experiment``, ``Run`` and ``train``, as a script or notebook uses them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelyard
from modelyard import Experiment, Run, train
from modelyard.api.report import collect_report
from modelyard.api.training import Ending
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause
from modelyard.domain.errors import ConfigError, ConflictError, NotFoundError, UserError
from modelyard.domain.ports import Point
from modelyard.domain.run import RunState
from modelyard.store import Store


def test_the_public_names() -> None:
    assert modelyard.__all__ == ["Experiment", "Run", "__version__", "train"]
    assert set(modelyard.__all__) <= set(dir(modelyard))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        modelyard.trian  # noqa: B018


METRICS = ("val_pixel_mae", "val_score", "speed")


def test_train_a_sweep_and_look_at_it(engine: Any, sweep: dict[str, Any], home: Path) -> None:
    with train(sweep, home=home) as experiment:
        assert [(run.name, run.state) for run in experiment.runs()] == [
            ("digits-1", RunState.COMPLETED),
            ("digits-2", RunState.COMPLETED),
        ]
        best = experiment.best("val_accuracy")
        assert best.name == "digits-2"
        assert experiment.best("val_loss") == best
        history = best.history("train_loss")
        assert history.steps.dtype == np.int64
        assert history.steps.tolist() == list(range(1, 21))
        assert history.values.shape == history.times.shape == (20,)
        assert best.logs()[-1] == "epoch 2 done"
        assert best.logs(last=1) == ["epoch 2 done"]
        assert "val_accuracy" in best.metrics()
        assert best.checkpoint().step == 20
        assert best.summary["val_accuracy"] == pytest.approx(0.4)
        assert experiment.sweep.name == "digits"
        assert best.artifact(best.artifacts()[0])["counts"][1] == [0, 4]
        assert [line.name for line in experiment.compare().config] == ["optimizer.learning_rate"]


def test_a_report_from_a_script(engine: Any, sweep: dict[str, Any], home: Path, tmp_path: Path) -> None:
    with train(sweep, home=home) as experiment:
        found = experiment.report(tmp_path / "digits.html", metrics=["val_loss"])
        assert (found.metric, found.runs[0].name) == ("val_loss", "digits-2")
        assert "digits-2" in (tmp_path / "digits.html").read_text()
        (tmp_path / "notes.html").write_text("mine")
        with pytest.raises(UserError, match="is not a report"):
            experiment.report(tmp_path / "notes.html")
        experiment.report(tmp_path / "notes.html", force=True)


@pytest.mark.parametrize(
    "source",
    [
        RunSpec(seed=3),
        SweepSpec(run=RunSpec(seed=3)),
        {"seed": 3},
        {"run": {"seed": 3}},
    ],
)
def test_everything_that_can_be_trained(engine: Any, home: Path, source: Any) -> None:
    with train(source, name="one", edits={"training.epochs": 1}, home=home) as experiment:
        assert experiment.name == "one"
        assert experiment[1].spec == RunSpec.model_validate({"seed": 3, "training": {"epochs": 1}})
        assert experiment["one-1"].state is RunState.COMPLETED


def test_a_sweep_file_is_trained(engine: Any, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("name: file\nrun: {training: {epochs: 1}}\n")
    with train(file, home=home) as experiment:
        assert experiment.runs()[0].name == "file-1"


def test_a_wrong_config_creates_nothing(engine: Any, home: Path, store: Store) -> None:
    with pytest.raises(ConfigError, match="did you mean 'optimizer'"):
        train({"run": {"optimiser": "sgd"}}, home=home)
    with pytest.raises(ConfigError, match="not a valid name"):
        train({}, name="No", home=home)
    assert store.experiments.list() == []


def test_resources_reach_the_plan(engine: Any, sweep: dict[str, Any], home: Path) -> None:
    train(sweep, home=home, execution="sliced", processes=1, slots=2).close()
    assert [group.slots for group in engine.made[-1].plan.groups] == [2]


def test_a_failed_run_is_told_by_its_state(engine: Any, home: Path) -> None:
    with train({"seed": 13}, home=home) as experiment:
        run = experiment[1]
        assert run.state is RunState.FAILED
        assert run.reason.message == "the loss was NaN"
        assert run.resume().run.state is RunState.QUEUED


def test_the_best_run_is_the_same_by_every_way_of_asking(store: Store, sweep: dict[str, Any], home: Path) -> None:
    """Run 1 was better once, run 2 ends better; less is better of an error, whatever the metric's name begins with."""
    with Experiment.create(sweep, home=home) as experiment:
        worker = store.leases.register(kind="engine")
        for values, (_, lease) in zip([(0.1, 0.9), (0.4, 0.3)], store.leases.claim(worker, limit=2), strict=True):
            with store.write(lease) as write:
                points = [Point(name, step, 0.0, value) for step, value in enumerate(values) for name in METRICS]
                write.points(points)
        assert experiment.best("val_pixel_mae").name == "digits-1"
        assert experiment.best("val_score").name == "digits-1"
        runs = [run.record for run in experiment.runs()]
        for metric, lowest in zip(METRICS[:2], (True, False), strict=True):
            report = collect_report(store, runs, metrics=[metric])
            assert (report.runs[0].name, report.lowest) == ("digits-1", lowest)
        with pytest.raises(UserError, match="no run of digits has a value of 'speed' that is better than others"):
            experiment.best("speed")


def test_resume_goes_on_with_the_same_sweep(engine: Any, sweep: dict[str, Any], home: Path, store: Store) -> None:
    def pause(supervisor: Any, poll: int) -> None:
        if poll == 2:
            for run in store.runs.list(states={RunState.RUNNING}):
                store.runs.request(run.id, Pause(), actor="other")

    engine.on_poll = pause
    with train(sweep, home=home) as experiment:
        assert {run.state for run in experiment.runs()} == {RunState.PAUSED}
    engine.on_poll = None
    with train(sweep, home=home, resume=True) as again:
        assert again.id == experiment.id
        assert {run.state for run in again.runs()} == {RunState.COMPLETED}


def test_runs_are_controlled_without_an_engine(sweep: dict[str, Any], home: Path) -> None:
    with Experiment.create(sweep, home=home) as experiment:
        first, second = experiment.runs()
        assert first.pause().message == "paused at step 0"
        assert first.resume().run.state is RunState.QUEUED
        assert first.set_priority(4).message == "priority 4"
        assert first.record.priority == 4
        assert "stored" in first.tune(learning_rate=0.5).message
        assert second.stop().run.state is RunState.STOPPED
        with pytest.raises(ConflictError, match="is stopped and cannot be asked to pause"):
            second.pause()
        with pytest.raises(ConfigError, match="learning_rate"):
            first.tune(learning_rate=-1)
        assert [outcome.result.value for outcome in experiment.pause()] == ["done", "skipped"]
        assert experiment.wait(timeout=1) is experiment
        assert [outcome.result.value for outcome in experiment.resume()] == ["done", "done"]
        with pytest.raises(TimeoutError, match=r"not over after 0.2 s: digits-1, digits-2"):
            experiment.wait(timeout=0.2)
        assert [outcome.result.value for outcome in experiment.stop()] == ["done", "done"]
        assert experiment.runs()[0].wait().state is RunState.STOPPED


def test_a_clone_and_its_end(engine: Any, sweep: dict[str, Any], home: Path, store: Store) -> None:
    with train(sweep, home=home) as experiment:
        parent = experiment[1]
        clone = parent.clone({"optimizer.learning_rate": 0.5}, warm_start="best", priority=2)
        assert clone.name == "digits-3"
        assert clone.record.warm_start == parent.checkpoint("best").id
        assert experiment.train() is Ending.IDLE
        assert clone.state is RunState.COMPLETED
        assert clone.tuned_spec.optimizer.learning_rate == 0.5
        assert [run.name for run in experiment.runs("optimizer.learning_rate > 0.1")] == ["digits-3"]
        assert experiment.runs(sort="-optimizer.learning_rate")[0] == clone
        parent.delete()
        assert [run.name for run in store.runs.list()] == ["digits-2", "digits-3"]
        experiment.delete()
        assert store.experiments.list() == []


def test_names_are_found_or_nearly(engine: Any, sweep: dict[str, Any], home: Path) -> None:
    train(sweep, home=home).close()
    with pytest.raises(NotFoundError, match="did you mean 'digits'"):
        Experiment("digit", home=home)
    with pytest.raises(NotFoundError, match="did you mean 'digits-1'"):
        Run("digits1", home=home)
    run = Run("digits-1", home=home)
    assert repr(run) == "<Run digits-1 completed>"
    run.close()
    with Experiment("digits", home=home) as experiment:
        assert repr(experiment) == "<Experiment digits, 2 runs>"
        with pytest.raises(NotFoundError, match="did you mean 'val_accuracy'"):
            experiment.best("val_acuracy")
    assert [record.name for record in Experiment.all(home=home)] == ["digits"]


def test_files_leave_the_home(engine: Any, sweep: dict[str, Any], home: Path, tmp_path: Path) -> None:
    with train(sweep, home=home) as experiment:
        assert experiment.export(tmp_path / "points.csv") == 52
        files = experiment[1].export_checkpoint(tmp_path / "weights")
        assert sorted(file.name for file in files) == ["model.safetensors", "state.safetensors"]
        assert all(file.exists() for file in files)


def test_predict_hands_over_the_named_checkpoint(
    engine: Any, sweep: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "modelyard.api.run.predict", lambda store, checkpoint, files, top: seen.append((checkpoint.step, files, top))
    )
    with train(sweep, home=home) as experiment:
        experiment[1].predict(["a.png"], checkpoint="last", top=2)
        experiment[1].predict(["a.png"])
    assert seen == [(20, [Path("a.png")], 2), (20, [Path("a.png")], 5)]


def test_training_works_in_another_thread(engine: Any, sweep: dict[str, Any], home: Path) -> None:
    """Only the main thread may handle signals; elsewhere training goes without."""
    import threading

    ended = []

    def work() -> None:
        with train(sweep, home=home) as experiment:
            ended.extend(run.state for run in experiment.runs())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [RunState.COMPLETED, RunState.COMPLETED]
