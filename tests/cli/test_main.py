"""The entry: help, version, errors, exit codes, completion."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.cli.main import main
from modelyard.domain import errors
from modelyard.domain.errors import ModelyardError

COMMAND = [sys.executable, "-m", "modelyard.cli.main"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from modelyard import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"modelyard {__version__}\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("init", "train", "runs", "doctor"):
        assert f" {name} " in text
    assert main(["runs", "list", "-h"]) == 0
    assert "--filter" in capsys.readouterr().out


def test_a_typo_offers_the_nearest_command(cli: Any) -> None:
    assert "No such command 'trian'. Did you mean 'train'?" in cli.fails(2, "trian")
    assert "No such command 'lst'" in cli.fails(2, "runs", "lst")
    assert "No such option: --sett" in cli.fails(2, "plan", "x", "--sett", "1")


def test_usage_errors_are_json_when_asked(cli: Any) -> None:
    document = cli("runs", "list", "--limit", "0", "--json", expect=2).json
    assert document["error"]["kind"] == "UsageError"
    assert "--limit" in document["error"]["message"]
    assert document["error"]["exit_code"] == 2


def _error_classes() -> list[type[ModelyardError]]:
    return [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ModelyardError)]


@pytest.mark.parametrize("kind", _error_classes())
def test_every_error_ends_with_its_own_exit_code(
    kind: type[ModelyardError], cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "what happened and what to do")

    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("modelyard.cli.runs.listing.open_home", fail)
    assert cli.fails(kind.exit_code, "runs", "list") == "what happened and what to do"
    assert cli("runs", "list", "--json", expect=kind.exit_code).json == {
        "error": {"kind": kind.__name__, "message": "what happened and what to do", "exit_code": kind.exit_code}
    }


def test_a_bug_is_told_as_one(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.cli.runs.listing.open_home", lambda ctx: 1 / 0)
    output = cli("runs", "list", expect=1)
    assert "Traceback" in output.err
    assert "this is a bug in Modelyard: division by zero" in output.err


def test_a_process_of_its_own_says_and_ends_the_same(tmp_path: Path) -> None:
    done = run("runs", "show", "none", MODELYARD_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: no run 'none'")
    done = run("runs", "show", "none", "--json", MODELYARD_HOME=str(tmp_path / "home"))
    assert json.loads(done.stdout)["error"]["kind"] == "NotFoundError"
    assert (done.returncode, done.stderr) == (3, "")


def test_the_home_comes_from_the_option_or_the_environment(tmp_path: Path) -> None:
    run("runs", "list", MODELYARD_HOME=str(tmp_path / "one"))
    assert (tmp_path / "one" / "modelyard.db").exists()
    run("--home", str(tmp_path / "two"), "runs", "list", MODELYARD_HOME=str(tmp_path / "three"))
    assert (tmp_path / "two" / "modelyard.db").exists()
    assert not (tmp_path / "three").exists()


def test_a_home_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("--home", str(tmp_path / "file"), "runs", "list")
    assert done.returncode == 6
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_bug(tmp_path: Path) -> None:
    command = " ".join(COMMAND) + " config schema run.model | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def complete(words: str, home: Path) -> list[str]:
    done = run(
        MODELYARD_HOME=str(home),
        _MODELYARD_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    return done.stdout.split()


def test_the_shell_completes_commands_options_and_runs(trained: Any) -> None:
    assert complete("modelyard tr", trained.home) == ["train"]
    assert complete("modelyard runs sh", trained.home) == ["show"]
    assert "--filter" in complete("modelyard runs list --f", trained.home)
    assert complete("modelyard runs show dig", trained.home) == ["digits-1", "digits-2"]
    assert complete("modelyard pause digits", trained.home) == ["digits-1", "digits-2", "digits"]
    assert complete("modelyard experiments show d", trained.home) == ["digits"]


def imported_by(code: str) -> set[str]:
    probe = f"import sys; {code}; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "sqlalchemy", "numpy", "pandas", "pyarrow", "alembic"}


def test_help_imports_nothing_heavy() -> None:
    modules = imported_by("from modelyard.cli.main import main; main(['--help'])")
    assert "typer" in modules
    assert modules & (HEAVY | {"pydantic", "yaml", "rich.live"}) == set()


def test_the_package_imports_nothing_heavy() -> None:
    assert imported_by("import modelyard") & (HEAVY | {"pydantic", "yaml", "rich", "typer"}) == set()


@pytest.mark.parametrize("name", ["train", "resume", "predict", "datasets", "doctor", "runs"])
def test_no_command_imports_torch(name: str) -> None:
    code = (
        "import typer; from modelyard.cli.main import root; from typing import Any;"
        f"group = typer.main.get_command(root); group.load({name!r})"
    )
    assert imported_by(code) & {"torch", "transformers", "pandas", "pyarrow"} == set()


@pytest.mark.parametrize("command", [["config", "schema"], ["config", "show", "sweep.yaml"], ["--help"]])
def test_a_pipe_that_is_closed_early_ends_it_quietly(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("name: mine\n")
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [*COMMAND, *command], check=False, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")
