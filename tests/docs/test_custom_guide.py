"""The class and the sweep in the guide are those that ``modelyard init`` writes, and they train as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelyard.api.experiment import Experiment
from modelyard.cli.main import root
from modelyard.domain.run import RunState

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "custom.md"


def test_what_the_guide_shows_is_what_init_writes_and_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(root, ["init", "sweep.yaml", "--task", "custom"]).exit_code == 0
    shown = PAGE.read_text()
    assert re.findall(r"^```python\n(.*?)^```", shown, re.MULTILINE | re.DOTALL) == [Path("my_task.py").read_text()]
    assert re.findall(r"^```yaml\n(.*?)^```", shown, re.MULTILINE | re.DOTALL) == [Path("sweep.yaml").read_text()]
    with Experiment.create("sweep.yaml", home=tmp_path / "home") as experiment:
        experiment.train()
        runs = experiment.runs()
    assert len(runs) == 8
    for run in runs:
        assert run.state is RunState.COMPLETED
        assert run.summary["val_mae"] < 55
        assert run.summary["test_mae"] < 60


def test_the_scores_that_the_guide_shows_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def modelyard(*arguments: str) -> str:
        command = [sys.executable, "-m", "modelyard.cli.main", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    modelyard("init", "sweep.yaml", "--task", "custom")
    (scores,) = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    with Path("my_task.py").open("a") as file:
        file.write(f"\n{scores}")
    text = Path("sweep.yaml").read_text()
    search = """\
  method: grid
  scheduler: {name: racing, interval: 2, patience: 1}
  space: {optimizer.learning_rate: {choice: [3e-3, 1e-2, 3.0]}}
"""
    text = re.sub(r"(?<=\nsearch:\n).*", search, text, flags=re.DOTALL).replace("epochs: 40", "epochs: 6")
    Path("sweep.yaml").write_text(text)
    assert "racing: every 2 of 6 epochs" in modelyard("plan", "sweep.yaml")
    modelyard("train", "sweep.yaml")
    decisions = modelyard("experiments", "show", "sweep", "--decisions")
    assert "over the same 70 samples, worse (racing, alpha 0.05)" in " ".join(decisions.split())
    with Experiment("sweep") as experiment:
        states = [run.state for run in experiment.runs()]
    assert states == [RunState.COMPLETED, RunState.COMPLETED, RunState.STOPPED]
