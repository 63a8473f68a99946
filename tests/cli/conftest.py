"""Runs the command line in this process, on a home of its own, with an engine that needs no torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelyard.cli.main import main

SWEEP = """\
name: digits
run:
  training: {epochs: 2}
search:
  method: grid
  space:
    optimizer.learning_rate: {choice: [0.01, 0.02]}
"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(*options): commands and options that the test proves to do something")


@dataclass
class Output:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """Calls ``modelyard`` with arguments."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self.capsys = capsys
        self.home = home

    def __call__(self, *arguments: str | Path, expect: int = 0) -> Output:
        self.capsys.readouterr()
        code = main(["--home", str(self.home), *map(str, arguments)])
        captured = self.capsys.readouterr()
        output = Output(code, captured.out, captured.err)
        assert code == expect, output
        return output

    def fails(self, code: int, *arguments: str | Path) -> str:
        """Call, expect the exit code, and return the message; with --json, the error document says the same."""
        output = self(*arguments, expect=code)
        assert output.err.startswith("error: "), output
        assert output.out == ""
        return output.err.removeprefix("error: ").rstrip("\n")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MODELYARD_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], home: Path) -> Cli:
    return Cli(capsys, home)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, engine: type[Any]) -> type[Any]:
    """The same, without processes that wait for it."""
    monkeypatch.setattr("modelyard.agent.warm_engines.may_have_accelerator", lambda: True)  # so that none are made
    return engine


@pytest.fixture
def sweep(home: Path) -> Path:
    file = home.parent / "sweep.yaml"
    file.write_text(SWEEP)
    return file


@pytest.fixture
def trained(cli: Cli, engine: type[Any], sweep: Path) -> Cli:
    """Two runs, digits-1 and digits-2, trained to their end."""
    cli("train", sweep)
    return cli
