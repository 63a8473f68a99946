"""Runs keep the text that they were submitted with: editing the file changes none of them."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.api.experiment import Experiment
from modelyard.api.run import Run
from modelyard.api.snapshot import keep_code, read_text, with_code
from modelyard.api.sweepfile import read_sweep
from modelyard.domain.errors import ConfigError, ConflictError, NotFoundError
from modelyard.domain.run import RunState
from modelyard.store import Store

SOURCE = """\
import torch
from torch import nn


class Mine:
    def __init__(self, width=2, factor=1.0):
        self.width, self.factor = width, factor

    @staticmethod
    def data():
        return {"train": torch.randn(20, 3), "val": torch.randn(10, 3)}

    def build(self):
        return nn.Sequential(nn.Linear(3, self.width), nn.Linear(self.width, 3))

    def loss(self, outputs, batch):
        return self.factor * (outputs - batch).square().mean()

    def predict(self, model, file):
        value = model(torch.tensor([float(word) for word in file.read_text().split()])).sum().sigmoid().item()
        return {"yes": value, "no": 1 - value}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Write a class and a sweep over its params."""
    (tmp_path / "mine.py").write_text(SOURCE)
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "name: own\n"
        "run:\n"
        "  task: custom\n"
        "  custom: {file: mine.py, class_name: Mine}\n"
        "  training: {epochs: 2, batch_size: 10}\n"
        "search: {method: grid, space: {custom.params.width: {choice: [2, 4]}}}\n"
    )
    return path


def test_an_edited_file_changes_no_run_that_exists(sweep: Path, tmp_path: Path, home: Path) -> None:
    with Experiment.create(sweep, home=home) as before:
        (tmp_path / "mine.py").write_text("import nothing_at_all\n")
        before.train()
        first, second = before.runs()
        assert [run.state for run in before.runs()] == [RunState.COMPLETED] * 2
        assert (first.spec.custom.params, second.spec.custom.params) == ({"width": 2}, {"width": 4})
        with pytest.raises(ConfigError, match=r"mine.py:1: ModuleNotFoundError"):
            Experiment.create(sweep, home=home)

        clone = first.clone({"custom.params.factor": 2.0}, warm_start="last")
        assert clone.spec.custom.code == first.spec.custom.code
        (tmp_path / "mine.py").write_text(SOURCE + "\nVERSION = 2\n")
        newer = first.clone({"custom.file": str(tmp_path / "mine.py")})
        assert newer.spec.custom.code not in {None, first.spec.custom.code}
        before.train()
        assert {clone.state, newer.state} == {RunState.COMPLETED}
        assert clone.summary["val_loss"] > first.summary["val_loss"] * 1.2
        with pytest.raises(ConfigError, match="params: got an unexpected keyword argument 'widht'"):
            first.clone({"custom.params.widht": 2})
        with pytest.raises(ConfigError, match=r"training.batch_size: 21 is larger than the 20 training samples"):
            first.clone({"training.batch_size": 21})


def test_going_on_wants_the_same_code(sweep: Path, tmp_path: Path, home: Path) -> None:
    def ids() -> str:
        with Experiment.create(sweep, home=home, resume=True) as experiment:
            return experiment.id

    first = ids()
    assert ids() == first
    (tmp_path / "mine.py").write_text(SOURCE + "\n# another\n")
    assert ids() != first


def test_a_run_is_predicted_with_the_method_of_its_snapshot(sweep: Path, tmp_path: Path, home: Path) -> None:
    with Experiment.create(sweep, home=home) as experiment:
        experiment.train()
        (tmp_path / "mine.py").unlink()
        (tmp_path / "one.txt").write_text("1 2 3")
        (tmp_path / "bad.txt").write_text("a b c")
        one, bad = experiment[1].predict([tmp_path / "one.txt", tmp_path / "bad.txt"])
        assert one.label in {"yes", "no"}
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert bad.label is None
        assert "in Mine.predict(self, model, file)" in (bad.error or "")


def test_without_a_method_to_predict_that_is_said(sweep: Path, tmp_path: Path, home: Path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE[: SOURCE.index("    def predict")])
    with Experiment.create(sweep, home=home) as experiment:
        experiment.train()
        with pytest.raises(ConfigError, match=r"how to predict a file; add the method predict\(self, model"):
            experiment[1].predict([tmp_path / "mine.py"])


def test_a_file_that_is_not_there_is_told_with_its_line(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").unlink()
    with pytest.raises(ConfigError, match=rf"sweep.yaml:4: run.custom.file: there is no file {tmp_path}/mine.py$"):
        read_sweep(sweep)
    (tmp_path / "mine.py").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not a text in UTF-8"):
        read_sweep(sweep)


def test_a_file_that_changes_while_it_is_submitted_is_refused(sweep: Path, tmp_path: Path, store: Store) -> None:
    specs = with_code([read_sweep(sweep).run])
    (tmp_path / "mine.py").write_text("changed")
    assert specs[0].user_code is not None
    assert read_text(specs[0].user_code) is None
    with pytest.raises(ConflictError, match="changed while it was being submitted"):
        keep_code(store, specs)
    with pytest.raises(NotFoundError, match="submit the run with its file"):
        store.experiments.create(read_sweep(sweep), specs, actor="test")


def test_a_run_can_be_submitted_again_without_its_file(sweep: Path, tmp_path: Path, home: Path) -> None:
    with Experiment.create(sweep, home=home) as experiment:
        spec: Any = experiment[1].spec
    (tmp_path / "mine.py").unlink()
    with Experiment.create(spec, home=home, name="again") as again:
        again.train()
        assert Run("again-1", home=home).state is RunState.COMPLETED
