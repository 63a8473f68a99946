"""``modelyard runs compare``."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

compare = import_module("modelyard.cli.runs.compare")  # the package has the command under the same name

MANY = """\
name: many
run: {training: {epochs: 2}}
search: {method: grid, space: {optimizer.learning_rate: {log: [0.001, 0.01], points: 5}, seed: {choice: [0, 1]}}}
"""


@pytest.fixture
def many(cli: Any, engine: Any, home: Path) -> Any:
    """Ten runs, many-1 to many-10; the last two have the highest learning rate, and so the best accuracy."""
    file = home.parent / "many.yaml"
    file.write_text(MANY)
    cli("train", file)
    return cli


def cells(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


@pytest.mark.covers("runs compare", "runs compare --json")
def test_compare_shows_what_differs(trained: Any) -> None:
    lines = [line.split() for line in trained("runs", "compare", "digits-1", "digits-2").out.splitlines()]
    assert ["optimizer.learning_rate", "0.01", "0.02"] in lines
    assert ["val_accuracy", "0.2", "0.4*"] in lines
    assert not any(line[0] == "seed" for line in lines if line)
    document = trained("runs", "compare", "digits", "--json").json
    assert document["config"] == {"optimizer.learning_rate": [0.01, 0.02]}
    assert "at least two runs" in trained.fails(2, "runs", "compare", "digits-1")


def test_compare_tells_best_values_their_epochs_and_distances(trained: Any) -> None:
    rows = cells(trained("runs", "compare", "digits").out)
    place = rows.index(["val_accuracy", "0.2", "0.4*"])
    assert rows[place + 1] == ["best", "(epoch)", "0.2", "(2)", "0.4", "(2)"]
    assert rows[place + 2] == ["to", "the", "best", "-0.2", "0"]
    assert ["execution", "sliced", "sliced"] in rows
    document = trained("runs", "compare", "digits", "--json").json
    assert (document["metric"], document["base"]) == ("val_accuracy", None)
    assert document["best"]["val_accuracy"] == [
        {"value": pytest.approx(0.2), "step": 20, "epoch": 2},
        {"value": pytest.approx(0.4), "step": 20, "epoch": 2},
    ]
    assert "samples_per_second" not in document["best"], "more is not known to be better"


@pytest.mark.covers("runs compare --limit")
def test_many_runs_are_ranked_below_each_other(many: Any) -> None:
    rows = cells(many("runs", "compare", "many").out)
    assert rows[0][:5] == ["run", "state", "best", "val_accuracy", "epoch"]
    assert [row[0] for row in rows[1:3]] == ["many-9", "many-10"]
    assert " ".join(rows.pop()) == "the best run has the best val_accuracy of any epoch (more is better)"
    assert len(rows) == 11
    assert rows[0][5:7] == ["learning_rate", "seed"]
    assert rows[-1][4:6] == ["0.001", "1"]
    short = many("runs", "compare", "many", "--limit", "3").out.splitlines()
    assert len(short) == 6
    assert short[-1] == "7 more runs not shown; see --limit, --html or --json"
    assert len(many("runs", "compare", "many", "-n", "1", "--json").json["runs"]) == 10, "JSON has all"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_comparison_fits_the_terminal_and_says_what_is_hidden(
    trained: Any, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    for number in range(3):
        trained("clone", "digits-1", "--set", f"optimizer.weight_decay=0.{number + 1}")
    monkeypatch.setattr(compare, "console", lambda: Console(width=width, highlight=False))
    lines = trained("runs", "compare", "digits").out.splitlines()
    beside = lines[1].startswith("state")
    assert beside == (width >= 80)
    if not beside:
        assert lines[1].split()[:2] == ["digits-2", "completed"], "the best comes first"
        assert "more columns not shown; see a wider terminal" in lines[-1]
        assert max(len(line) for line in lines[:-1]) <= width


@pytest.mark.covers("runs compare --metric")
def test_a_metric_ranks_and_its_curves_are_drawn_over_each_other(many: Any) -> None:
    lines = many("runs", "compare", "many", "--metric", "val_loss").out.splitlines()
    assert lines[0].split()[2:4] == ["best", "val_loss"]
    assert "val_loss" in lines, "the chart's title"
    assert [line for line in lines if line.startswith(("● many-9", "▲ many-10", "◇ many-4"))] != []
    assert lines[-1] == "the 8 best runs are drawn, 2 are not"
    assert "did you mean 'val_loss'" in many.fails(3, "runs", "compare", "many", "--metric", "val_los")
    assert many("runs", "compare", "many", "-m", "val_loss", "--json").json["metric"] == "val_loss"


@pytest.mark.covers("runs compare --base")
def test_configs_are_told_against_a_base(trained: Any) -> None:
    trained("clone", "digits-1", "--set", "seed=5")
    rows = cells(trained("runs", "compare", "digits-1", "digits-3", "--base", "digits-2").out)
    assert rows[0] == ["digits-2", "(base)", "digits-1", "digits-3"]
    assert ["seed", "0", "=", "5"] in rows
    assert ["optimizer.learning_rate", "0.02", "0.01", "0.01"] in rows
    document = trained("runs", "compare", "digits", "--base", "digits-2", "--json").json
    assert document["base"] == "digits-2"
    assert [run["name"] for run in document["runs"]] == ["digits-2", "digits-1", "digits-3"]
    assert trained("runs", "compare", "digits-1", "--base", "digits-2").code == 0, "one run against its base"
    assert "did you mean 'digits-2'" in trained.fails(3, "runs", "compare", "digits", "--base", "digts-2")


def test_the_base_stays_in_front_of_many(many: Any) -> None:
    rows = cells(many("runs", "compare", "many", "--base", "many-1").out)
    assert rows[1][:2] == ["many-1", "(base)"]
    assert rows[2][0] == "many-9"


@pytest.mark.covers("runs compare --html", "runs compare --force")
def test_a_comparison_becomes_a_report_on_just_these_runs(many: Any, tmp_path: Path) -> None:
    file = tmp_path / "two.html"
    said = many("runs", "compare", "many-1", "many-2", "--html", file).out
    assert "wrote a report on 2 runs to" in said
    page = file.read_text()
    assert "many-2" in page
    assert "many-3" not in page
    assert "2 of 10 in this report" in page
    file.write_text("my notes")
    assert "--force" in many.fails(2, "runs", "compare", "many", "--html", file)
    assert file.read_text() == "my notes"
    many("runs", "compare", "many", "--metric", "val_loss", "--html", file, "--force")
    assert "ranked by their best val_loss" in file.read_text()


def test_runs_without_results_compare(cli: Any, engine: Any, sweep: Path, store: Any) -> None:
    from modelyard.api.sweepfile import expand_at, read_sweep

    spec = read_sweep(sweep)
    store.experiments.create(spec, expand_at(spec) * 5, actor="test")
    rows = cells(cli("runs", "compare", "digits").out)
    assert rows[0][:2] == ["run", "state"]
    assert len(rows) == 11
    assert cli("runs", "compare", "digits-1", "digits-2").out
    assert "they have none yet" in cli.fails(3, "runs", "compare", "digits", "-m", "val_loss")
