"""``modelyard export`` and ``modelyard import``."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from modelyard.cli.main import main
from modelyard.domain.run import RunState
from modelyard.store import open_store


@pytest.fixture
def other(cli: Any, tmp_path: Path) -> Any:
    """Calls ``modelyard`` on another home."""
    return type(cli)(cli.capsys, tmp_path / "other")


@pytest.mark.covers("export", "export --output", "import")
def test_an_experiment_moves_to_another_home(trained: Any, other: Any, tmp_path: Path) -> None:
    said = trained("export", "digits").out
    assert said.startswith("wrote 2 runs of digits to digits.zip (")
    elsewhere = tmp_path / "elsewhere.zip"
    assert "wrote 1 run of digits to" in trained("export", "digits-1", "--output", elsewhere).out
    assert other("import", "digits.zip").out == "imported 2 runs as digits\n"
    for command in (["runs", "list"], ["runs", "metrics", "digits-1"], ["runs", "compare", "digits"]):
        mine, theirs = (home(*command, "--json").json for home in (trained, other))
        assert mine == theirs
    again = other("import", "digits.zip").out
    assert again == "digits is here already, with 2 runs of this file: nothing was changed\n"
    assert "wrote 1 run" in other("export", "digits-2").out, "and it can go on from there"


def test_a_file_that_is_taken_is_kept(trained: Any, tmp_path: Path) -> None:
    kept = tmp_path / "digits.zip"
    kept.write_text("my thesis")
    assert "exists; choose another name, or overwrite it with --force" in trained.fails(2, "export", "digits")
    assert kept.read_text() == "my thesis"
    assert "is not a folder" in trained.fails(2, "export", "digits", "-o", tmp_path / "none" / "a.zip")
    assert "exists; choose another name" in trained.fails(2, "export", "digits", "-o", tmp_path, "--force")
    assert "did you mean 'digits'" in trained.fails(3, "export", "digit")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.zip", "home", "sweep.yaml"]


@pytest.mark.covers("export --force")
def test_force_replaces_a_file(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "digits.zip").write_text("my thesis")
    trained("export", "digits", "--force")
    assert zipfile.is_zipfile(tmp_path / "digits.zip")


@pytest.mark.covers("export --checkpoints")
def test_checkpoints_may_stay_at_home(trained: Any, other: Any, tmp_path: Path) -> None:
    blobs = {}
    for kept in ("all", "last", "best", "none"):
        trained("export", "digits", "--checkpoints", kept, "-o", tmp_path / f"{kept}.zip")
        with zipfile.ZipFile(tmp_path / f"{kept}.zip") as opened:
            assert json.loads(opened.read("manifest.json"))["about"]["checkpoints"] == kept
            blobs[kept] = sum(name.startswith("blobs/") for name in opened.namelist())
    assert blobs["all"] >= blobs["last"] == blobs["best"] > blobs["none"]
    other("import", tmp_path / "none.zip")
    assert other("checkpoints", "list", "digits-1").out == "no checkpoints yet\n"


@pytest.mark.covers("export --json", "import --json")
def test_what_was_done_as_json(trained: Any, other: Any, tmp_path: Path) -> None:
    exported = trained("export", "digits", "--json").json
    size = (tmp_path / "digits.zip").stat().st_size
    assert (exported["path"], exported["bytes"], exported["runs"]) == ("digits.zip", size, ["digits-1", "digits-2"])
    imported = other("import", "digits.zip", "--json").json
    assert (imported["runs"], imported["present"]) == (["digits-1", "digits-2"], [])
    assert other("import", "digits.zip", "--json").json["present"] == ["digits-1", "digits-2"]
    (tmp_path / "bad.zip").write_bytes(b"x" * 100)
    error = other("import", "bad.zip", "--json", expect=2).json["error"]
    assert error["kind"] == "UserError"
    assert error["message"].startswith("bad.zip: this is no zip archive")
    assert error["message"].endswith("Nothing was imported.")


def test_a_name_that_is_taken_gets_a_number(trained: Any, other: Any, sweep: Path) -> None:
    trained("export", "digits")
    other("train", sweep)
    said = other("import", "digits.zip").out
    assert said == "imported 2 runs as digits.2 (digits is taken here)\n"
    assert [run["name"] for run in other("runs", "list", "--json").json][-2:] == ["digits.2-1", "digits.2-2"]


def test_what_was_not_over_is_paused_and_told(cli: Any, other: Any, engine: Any, sweep: Path, home: Path) -> None:
    cli("train", sweep)
    with open_store(home) as store:
        run = store.runs.get("digits-1")
        store.runs.clone(run.id, run.spec, actor="ada")
    said = cli("export", "digits").out
    assert "not over yet, so the file has what they had saved: digits-3" in said
    said = other("import", "digits.zip").out
    assert "paused; to go on with them: modelyard resume digits-3" in said
    with open_store(other.home) as store:
        assert store.runs.get("digits-3").state is RunState.PAUSED
    assert "digits-3" in other("resume", "digits-3").out
    with open_store(other.home) as store:
        assert store.runs.get("digits-3").state is RunState.COMPLETED


def test_help_tells_the_exports_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    assert "modelyard runs export" in " ".join(capsys.readouterr().out.split())
