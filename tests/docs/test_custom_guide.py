"""The class and the sweep in the guide are those that ``modelyard init`` writes, and they train as they stand."""

import re
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
