"""``modelyard report``."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.store import Store


@pytest.mark.covers("report", "report --output")
def test_a_report_is_written(trained: Any, tmp_path: Path) -> None:
    said = trained("report", "digits").out
    assert said.startswith("wrote a report on 2 runs to report.html (")
    page = (tmp_path / "report.html").read_text()
    assert "digits-2" in page
    assert page.index("digits-2") < page.index("digits-1"), "the best comes first"
    other = tmp_path / "one.html"
    assert "on 1 run to" in trained("report", "digits-1", "--output", other).out
    assert "digits-2" not in other.read_text()
    assert "on 2 runs" in trained("report", "digits", "digits-1", "-o", other).out, "each run is in it once"


@pytest.mark.covers("report --metric")
def test_a_report_ranks_by_a_chosen_metric(trained: Any, tmp_path: Path) -> None:
    trained("report", "digits", "--metric", "val_loss", "-m", "train_loss")
    page = (tmp_path / "report.html").read_text()
    assert "ranked by their best val_loss (lower is better)" in page
    assert "train_loss over steps" in page
    assert "val_accuracy over steps" not in page
    message = trained.fails(3, "report", "digits", "--metric", "val_los", "-o", tmp_path / "none.html")
    assert message == "none of these runs has a metric 'val_los'; did you mean 'val_loss'?"
    assert not (tmp_path / "none.html").exists()


@pytest.mark.covers("report --json")
def test_a_report_as_json_writes_a_file_only_where_told(trained: Any, tmp_path: Path) -> None:
    document = trained("report", "digits", "--json").json
    assert not (tmp_path / "report.html").exists()
    assert document["metric"] == "val_accuracy"
    assert [run["name"] for run in document["runs"]] == ["digits-2", "digits-1"]
    assert document["runs"][0]["result"]["best"] == pytest.approx(0.4)
    assert document["runs"][0]["result"]["best_epoch"] == 2
    assert document["panels"][0]["curves"][0]["steps"] == [10, 20]
    assert document["best"]["changes"][0] == ["optimizer.learning_rate", 0.001, 0.02]
    assert document["created_at"].endswith("Z")
    trained("report", "digits", "--json", "--output", tmp_path / "both.html")
    assert (tmp_path / "both.html").exists()


@pytest.mark.covers("report --force")
def test_a_report_replaces_a_report_and_nothing_else_unless_forced(trained: Any, tmp_path: Path) -> None:
    trained("report", "digits")
    trained("report", "digits-1")
    (tmp_path / "report.html").write_text("my thesis")
    assert "is not a report of Modelyard" in trained.fails(2, "report", "digits")
    assert (tmp_path / "report.html").read_text() == "my thesis"
    trained("report", "digits", "--force")
    assert "digits-2" in (tmp_path / "report.html").read_text()


def test_a_report_of_what_does_not_exist(trained: Any, tmp_path: Path) -> None:
    assert "did you mean 'digits'" in trained.fails(3, "report", "digit")
    assert "is a folder" in trained.fails(2, "report", "digits", "-o", tmp_path)
    assert "is not a folder" in trained.fails(2, "report", "digits", "-o", tmp_path / "no" / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_report_sees_runs_of_dead_processes_as_they_are(trained: Any, store: Store, sweep: Path) -> None:
    trained("clone", "digits-1", "--set", "seed=5")
    worker = store.leases.register()
    store.leases.claim(worker, limit=1)
    assert [run["state"] for run in trained("report", "digits-3", "--json").json["runs"]] == ["running"]
    store.leases.unregister(worker)
    assert [run["state"] for run in trained("report", "digits-3", "--json").json["runs"]] == ["queued"]
