"""The trainer and the sweep that the guide shows train as they stand."""

import re
from pathlib import Path

import pytest

from modelyard.api.experiment import Experiment
from modelyard.domain.errors import ConfigError
from modelyard.domain.run import RunState

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "hf-trainer.md"


def test_what_the_guide_shows_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, name in (("python", "train.py"), ("yaml", "sweep.yaml")):
        (shown,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        Path(name).write_text(shown)
    with Experiment.create("sweep.yaml", home=tmp_path / "home") as experiment:
        experiment.train()
        runs = experiment.runs()
        assert [run.state for run in runs] == [RunState.COMPLETED] * 2
        assert all("val_loss" in run.summary for run in runs)
        assert runs[0].summary["val_loss"] != runs[1].summary["val_loss"]
        with pytest.raises(ConfigError, match="export the checkpoint"):
            runs[0].predict(["train.py"])
