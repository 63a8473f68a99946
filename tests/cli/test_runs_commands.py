"""``modelyard runs`` and ``modelyard experiments``."""

import csv
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from modelyard.cli.runs import listing
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.store import Store


@pytest.mark.covers("runs list", "runs list --json")
def test_list_shows_state_progress_and_metrics(trained: Any) -> None:
    lines = trained("runs", "list").out.splitlines()
    assert lines[0].split() == [
        "run",
        "state",
        "epoch",
        "done",
        "train_loss",
        "val_loss",
        "val_accuracy",
        "updated",
        "why",
    ]
    assert lines[1].split()[:4] == ["digits-1", "completed", "2", "100%"]
    document = trained("runs", "list", "--json").json
    assert [run["name"] for run in document] == ["digits-1", "digits-2"]
    assert document[0]["summary"]["val_accuracy"] == pytest.approx(0.2)
    assert "spec_json" not in document[0]


@pytest.mark.covers("runs list --filter")
def test_list_filters(trained: Any) -> None:
    where = "val_accuracy > 0.3 and state = completed"
    assert [run["name"] for run in trained("runs", "list", "--filter", where, "--json").json] == ["digits-2"]
    assert trained("runs", "list", "-f", "state = failed").out.startswith("no runs match")
    message = trained.fails(2, "runs", "list", "--filter", "val_acuracy > 0.3")
    assert message.startswith("filter, column 1: no run has a field 'val_acuracy'; did you mean 'val_accuracy'?")
    assert "column 7" in trained.fails(2, "runs", "list", "--filter", "state completed")


@pytest.mark.covers("runs list --sort", "runs list --limit")
def test_list_sorts_and_limits(trained: Any) -> None:
    assert [run["name"] for run in trained("runs", "list", "--sort", "-val_accuracy", "--json").json] == [
        "digits-2", "digits-1"
    ]  # fmt: skip
    assert [run["name"] for run in trained("runs", "list", "-s", "val_loss", "-n", "1", "--json").json] == ["digits-2"]
    assert "did you mean 'val_loss'" in trained.fails(2, "runs", "list", "--sort", "val_los")


@pytest.mark.parametrize("width", [40, 80, 132, 200])
def test_a_list_keeps_to_one_line_per_run_in_every_terminal(
    trained: Any, store: Store, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    worker = store.leases.register()
    trained("clone", "digits-1", "--set", "training.epochs=9")
    ((_, lease),) = store.leases.claim(worker, limit=1)
    with store.write(lease) as write:
        write.transition(RunState.FAILED, Reason(code=ReasonCode.ERROR, message="a long reason\nof many words " * 9))
    monkeypatch.setattr(listing, "console", lambda: Console(width=width, highlight=False))
    lines = trained("runs", "list").out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
    assert [line.split()[:2] for line in lines[1:3]] == [["digits-1", "completed"], ["digits-2", "completed"]]
    assert ("why" in lines[0], "updated" in lines[0]) == (width >= 80, width >= 132)
    assert ("a long reason of many" in lines[3]) == (width >= 80)


def test_lists_filters_and_comparisons_see_what_was_tuned(trained: Any, store: Store) -> None:
    trained("tune", "digits-2", "--epochs", "5")
    trained("resume", "digits-2")
    assert trained("runs", "list", "-c", "training.epochs", "--json").json[1]["fields"] == {"training.epochs": 5}
    found = trained("runs", "list", "-f", "training.epochs > 4", "--json").json
    assert [run["name"] for run in found] == ["digits-2"]
    assert trained("runs", "compare", "digits", "--json").json["config"]["training.epochs"] == [2, 5]


@pytest.mark.covers("runs list --columns")
def test_list_shows_chosen_columns(trained: Any) -> None:
    lines = trained("runs", "list", "--columns", "optimizer.learning_rate,model.hidden_sizes").out.splitlines()
    assert lines[0].split() == ["run", "state", "optimizer.learning_rate", "model.hidden_sizes"]
    assert lines[2].split() == ["digits-2", "completed", "0.02", "[64,64]"]
    assert trained("runs", "list", "-c", "seed", "--json").json[0]["fields"] == {"seed": 0}
    header = trained("runs", "list", "--columns", "state,seed,name").out.splitlines()[0]
    assert header.split() == ["run", "state", "seed"], "nothing is shown twice"
    assert "no run has a field 'sed'; did you mean 'seed'?" in trained.fails(2, "runs", "list", "--columns", "sed")
    assert "at least one field" in trained.fails(2, "runs", "list", "--columns", ",")


@pytest.mark.covers("runs list --experiment", "runs list --project")
def test_list_of_one_experiment_or_project(trained: Any, sweep: Path) -> None:
    sweep.write_text(sweep.read_text() + "project: other\n")
    trained("train", sweep, "--name", "second")
    for option in (["--experiment", "second"], ["--project", "other"]):
        names = [run["name"] for run in trained("runs", "list", *option, "--json").json]
        assert names == ["second-1", "second-2"]
    assert "did you mean 'second'" in trained.fails(3, "runs", "list", "-e", "secnd")


def test_an_empty_home_says_what_to_do(cli: Any) -> None:
    assert cli("runs", "list").out == "no runs; start some: modelyard init\n"
    assert cli("runs", "list", "--json").json == []
    assert cli("experiments", "list").out == "no experiments; start one: modelyard init\n"
    assert cli("runs", "list", "--filter", "state = failed").out.startswith("no runs match")


@pytest.mark.covers("runs show", "runs show --json")
def test_show_tells_everything(trained: Any, store: Store) -> None:
    trained("tune", "digits-1", "--epochs", "3")
    trained("resume", "digits-1")
    text = trained("runs", "show", "digits-1").out
    assert "digits-1  completed  all epochs are done" in text
    assert "(tuned to 3)" in text
    assert "tune epochs=3 by " in text
    assert "step 30, epoch 3" in text
    assert "d" * 64 in text
    run = store.runs.get("digits-1")
    document = trained("runs", "show", run.id[:6], "--json").json
    assert document["config"]["optimizer"]["learning_rate"] == 0.01
    assert [record["op"]["kind"] for record in document["requests"]] == ["tune", "resume"]
    assert document["checkpoints"][0]["step"] == 30
    assert "did you mean 'digits-1'" in trained.fails(3, "runs", "show", "digts-1")


def test_text_from_outside_cannot_style_or_break_the_output(trained: Any, store: Store) -> None:
    worker = store.leases.register()
    trained("tune", "digits-1", "--epochs", "3")
    store.runs.request(store.runs.get("digits-1").id, _resume(), actor="[red]ana[/red]")
    run, lease = store.leases.claim(worker, limit=1)[0]
    with store.write(lease) as write:
        write.transition(RunState.FAILED, Reason(code=ReasonCode.ERROR, message="boom [bold]x[/bold] [/]"))
    assert "boom [bold]x[/bold] [/]" in trained("runs", "show", run.name).out
    assert "boom [bold]x[/bold] [/]" in trained("runs", "list").out


def _resume() -> Any:
    from modelyard.domain.control import Resume

    return Resume()


@pytest.mark.covers("runs logs", "runs logs --lines", "runs logs --times", "runs logs --json")
def test_logs(trained: Any) -> None:
    assert trained("runs", "logs", "digits-1").out.splitlines()[-1] == "epoch 2 done"
    assert trained("runs", "logs", "digits-1", "--lines", "1").out == "epoch 2 done\n"
    timed = trained("runs", "logs", "digits-1", "-n", "1", "--times").out
    assert timed.endswith("  epoch 2 done\n")
    assert timed[4] == "-"
    import json

    lines = [json.loads(line) for line in trained("runs", "logs", "digits-1", "--json").out.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert lines[0]["time"].endswith("Z")


@pytest.mark.covers("runs logs --follow")
def test_logs_follow_until_the_run_ends(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    from modelyard.api.sweepfile import expand_at, read_sweep

    spec = read_sweep(sweep)
    experiment = store.experiments.create(spec, expand_at(spec), actor="test")

    def train() -> None:
        from modelyard.store import open_store

        with open_store(cli.home) as own, engine(own, experiment_id=experiment.id) as supervisor:
            supervisor.start()
            while not supervisor.poll().idle:
                pass

    thread = threading.Timer(0.3, train)
    thread.start()
    assert cli("runs", "logs", "digits-1", "-f").out.splitlines() == [
        "attempt 1 of digits-1 started",
        "epoch 1 done",
        "epoch 2 done",
    ]
    thread.join()


@pytest.mark.covers("runs artifact", "runs artifact --json")
def test_an_artifact_is_printed(trained: Any) -> None:
    assert "val/confusion_matrix" in trained("runs", "show", "digits-1").out
    text = trained("runs", "artifact", "digits-1", "val/confusion_matrix").out
    assert text == 'val/confusion_matrix, step 20\nclasses: ["cat", "dog"]\ncounts: \n5 1\n0 4\n'
    document = trained("runs", "artifact", "digits-1", "val/confusion_matrix", "--json").json
    assert document["content"] == {"classes": ["cat", "dog"], "counts": [[5, 1], [0, 4]]}
    assert "did you mean 'val/confusion_matrix'" in trained.fails(3, "runs", "artifact", "digits-1", "val/confusion")


@pytest.mark.covers("runs metrics", "runs metrics --json")
def test_metrics_are_listed_with_curves(trained: Any) -> None:
    text = trained("runs", "metrics", "digits-1").out
    assert "train_loss" in text
    assert "█" in text
    document = trained("runs", "metrics", "digits-1", "--json").json
    assert document[0]["metrics"]["val_accuracy"]["steps"] == [10, 20]
    assert document[0]["metrics"]["val_accuracy"]["values"] == pytest.approx([0.1, 0.2])


@pytest.mark.covers("runs metrics --name", "runs metrics --height", "runs metrics --width")
def test_a_metric_is_drawn(trained: Any) -> None:
    lines = trained(
        "runs", "metrics", "digits", "--name", "train_loss", "--height", "5", "--width", "40"
    ).out.splitlines()
    assert lines[0] == "train_loss"
    assert len(lines) == 1 + 5 + 2 + 2
    assert max(map(len, lines)) <= 40
    assert lines[-2:] == ["● digits-1", "▲ digits-2"]
    assert "●" in lines[1], "the loss starts high"
    assert "▲" in lines[5], "and the faster one ends low"
    assert list(trained("runs", "metrics", "digits-1", "-m", "val_loss", "--json").json[0]["metrics"]) == ["val_loss"]
    assert "did you mean 'val_loss'" in trained.fails(3, "runs", "metrics", "digits-1", "--name", "val_los")


@pytest.mark.covers("runs export", "runs export --output", "runs export --json", "runs export --force")
def test_export_writes_every_point(trained: Any, tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    assert "wrote 52 points of 2 runs" in trained("runs", "export", "digits", "--output", file).out
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 52
    assert {row["run"] for row in rows} == {"digits-1", "digits-2"}
    assert [row["value"] for row in rows if row["run"] == "digits-1" and row["metric"] == "val_accuracy"] == [
        "0.1",
        "0.2",
    ]
    before = file.read_bytes()
    assert "--force" in trained.fails(2, "runs", "export", "digits-1", "-o", file)
    assert file.read_bytes() == before
    document = trained("runs", "export", "digits-1", "-o", file, "--force", "--json").json
    assert document["points"] == 26
    assert len(list(csv.DictReader(file.read_text().splitlines()))) == 26
    assert "is not a folder" in trained.fails(2, "runs", "export", "digits-1", "-o", tmp_path / "no" / "file.csv")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [], "no temporary file stays"


@pytest.mark.covers("runs export --format")
def test_export_to_other_tools(trained: Any, tmp_path: Path) -> None:
    from pyarrow import parquet

    trained("runs", "export", "digits", "-o", tmp_path / "points.parquet", "--format", "parquet")
    table = parquet.read_table(tmp_path / "points.parquet")
    assert table.num_rows == 52
    assert table.column_names == ["run", "experiment", "metric", "step", "time", "value", "attempt"]
    trained("runs", "export", "digits", "-o", tmp_path / "events", "--format", "tensorboard")
    accuracies = _event_values(tmp_path / "events" / "digits-1")["val_accuracy"]
    assert [step for step, _ in accuracies] == [10, 20]
    assert [value for _, value in accuracies] == pytest.approx([0.1, 0.2])
    assert "exists" in trained.fails(
        2, "runs", "export", "digits", "-o", tmp_path / "events", "--format", "tensorboard"
    )


def _event_values(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[tuple[int, float]]] = {}
    (file,) = folder.iterdir()
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.tensor.float_val[0]))
    return found


def test_a_missing_extra_says_the_line_that_installs_it(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    message = trained.fails(2, "runs", "export", "digits", "-o", tmp_path / "x", "--format", "parquet")
    assert message == "Parquet needs pyarrow: pip install 'modelyard[parquet]'"
    assert list(tmp_path.glob("*x*")) == []


@pytest.mark.covers("experiments list", "experiments list --json", "experiments list --project")
def test_experiments_are_listed_with_their_states(trained: Any, sweep: Path) -> None:
    trained("train", sweep, "--name", "bad", "--set", "seed=13", expect=5)
    lines = trained("experiments", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["experiment", "bad", "digits"]
    assert "2 failed" in lines[1]
    assert trained("experiments", "list", "--json").json[1]["states"] == {"completed": 2}
    assert trained("experiments", "list", "--project", "none", "--json").json == []


@pytest.mark.covers("experiments show", "experiments show --json")
def test_an_experiment_is_shown_with_its_runs(trained: Any) -> None:
    assert "digits-2" in trained("experiments", "show", "digits").out
    document = trained("experiments", "show", "digits", "--json").json
    assert document["run_count"] == 2
    assert [run["name"] for run in document["runs"]] == ["digits-1", "digits-2"]
    assert "did you mean 'digits'" in trained.fails(3, "experiments", "show", "digit")


@pytest.mark.covers("experiments delete", "experiments delete --yes", "experiments delete --json")
def test_experiments_are_deleted_with_their_runs(trained: Any, sweep: Path, store: Store) -> None:
    trained("train", sweep, "--name", "second")
    said = trained("experiments", "delete", "digits", "--yes").out
    assert said.startswith("deleted experiment digits with 2 runs; ")
    assert trained("experiments", "delete", "second", "-y", "--json").json["deleted"] == ["second"]
    assert store.runs.list() == []
