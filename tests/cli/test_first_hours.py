"""Mistakes of the first hours are told at once, with exit code 2, and leave nothing behind."""

import errno
from pathlib import Path
from typing import Any

import pytest

from modelyard.agent.predictor import Prediction
from modelyard.cli.main import main
from modelyard.store import Store


def test_train_and_plan_refuse_data_that_cannot_be_used(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: bad\nrun: {data: {source: image-folder, path: nothing}}\n")
    for command in ("train", "plan"):
        assert cli.fails(2, command, file).startswith("data.path: there is nothing at")
    file.write_text("name: bad\nrun: {training: {batch_size: 5000}}\n")
    for command in ("train", "plan"):
        assert cli.fails(2, command, file).startswith("bad-1: training.batch_size: 5000 is larger than the 1258")
    assert cli("experiments", "list", "--json").json == []


def test_a_huge_grid_is_refused_with_its_number(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    axes = "".join(f"    {name}: {{int: [0, 99999], points: 10000}}\n" for name in ("seed", "data_seed"))
    file.write_text(f"search:\n  method: grid\n  space:\n{axes}")
    assert "the grid has 100,000,000 runs, more than 10,000" in cli.fails(2, "plan", file)
    file.write_text("search: {method: random, samples: 10001, space: {seed: {int: [0, 9]}}}\n")
    assert "search.samples" in cli.fails(2, "plan", file)


def test_an_empty_home_is_no_home(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--home", "", "runs", "list"]) == 2
    assert "empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_init_refuses_a_bad_name_and_fits_small_data(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    assert "'Bad Name' is not a valid name" in cli.fails(2, "init", file, "--name", "Bad Name")
    assert not file.exists()
    (tmp_path / "photos").mkdir()
    cli("init", file, "--data", tmp_path / "photos")
    assert "batch_size: 16\n" in file.read_text()


def test_a_file_that_cannot_be_written_is_no_bug(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = trained.fails(6, "runs", "export", "digits", "-o", "/proc/points.csv")
    assert message.startswith("cannot write /proc/points.csv: ")

    def full(*arguments: Any) -> int:
        arguments[-1].write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("modelyard.api.export._write_csv", full)
    assert "is full" in trained.fails(6, "runs", "export", "digits", "-o", tmp_path / "points.csv")
    assert not list(tmp_path.glob("*points*"))

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("modelyard.cli.runs.listing.select_runs", refused)
    error = trained("runs", "list", expect=6).err
    assert "No space left on device" in error
    assert "bug" not in error


def test_an_export_is_what_its_name_says(trained: Any, tmp_path: Path) -> None:
    trained("runs", "export", "digits", "-o", tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").read_bytes()[:4] == b"PAR1"
    assert "change one of them" in trained.fails(
        2, "runs", "export", "digits", "-o", tmp_path / "y.parquet", "--format", "csv"
    )


def test_predict_says_what_is_wrong_with_a_file(
    trained: Any, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(store: Store, checkpoint: Any, files: list[Path], *, top: int) -> list[Prediction]:
        error = "bad.png: cannot read the image (not an image)"
        return [Prediction(file=str(file), label=None, probabilities={}, error=error) for file in files]

    monkeypatch.setattr("modelyard.cli.predict.predict_files", predict)
    monkeypatch.chdir(tmp_path)
    Path("bad.png").touch()
    Path("folder").mkdir()
    output = trained("predict", "no.png", "bad.png", "folder", "-r", "digits-1", expect=2)
    assert output.err.splitlines() == [
        "error: no.png: no such file",
        "bad.png: cannot read the image (not an image)",
        "folder: is a folder; name the image files in it",
    ]


def test_every_column_that_a_list_shows_can_be_asked_for(trained: Any) -> None:
    listed = trained("runs", "list", "-c", "done,updated,why", "--sort", "-done", "--json").json
    assert [run["fields"]["done"] for run in listed] == [1.0, 1.0]
    assert listed[0]["fields"]["why"] == listed[0]["reason"]["message"]
