"""Runs that begin alike, as people see them: in the plan, while they wait, and afterwards."""

from pathlib import Path
from typing import Any

import pytest

SWEEP = """\
name: digits
run:
  model: {name: mlp, hidden_sizes: [8]}
  training: {batch_size: 100}
search:
  method: grid
  space:
    training.epochs: {choice: [2, 4, 6]}
"""
STEPS_PER_EPOCH = 13


@pytest.fixture
def file(home: Path) -> Path:
    path = home.parent / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def test_the_plan_says_how_many_steps_are_shared(cli: Any, file: Path) -> None:
    shared = 2 * STEPS_PER_EPOCH - 1 + 4 * STEPS_PER_EPOCH - 1
    output = cli("plan", file, "--no-probe").out
    sentence = f"shared: {shared} of all {12 * STEPS_PER_EPOCH} steps are trained by one run for others"
    assert sentence in " ".join(output.split())
    document = cli("plan", file, "--no-probe", "--json").json
    assert document["sharing"] == {"steps": 12 * STEPS_PER_EPOCH, "shared": shared}
    alone = cli("plan", file, "--no-probe", "--set", "schedule=cosine").out
    assert "shared:" not in alone


def test_a_sweep_of_epochs_tells_whose_steps_they_are(cli: Any, file: Path) -> None:
    output = cli("train", file, "--processes", "1", "--slots", "3").out
    assert "digits-3: first 51 steps shared with digits-2" in output
    assert [run["state"] for run in cli("runs", "list", "--json").json] == ["completed"] * 3
    assert "first 51 steps shared with digits-2" in cli("runs", "show", "digits-3").out
    assert "shared with" not in cli("runs", "show", "digits-1").out
    assert "first 51 steps shared with digits-2" in cli("runs", "logs", "digits-3").out
    curve = cli("runs", "metrics", "digits-3", "--name", "val_loss", "--json").json
    assert str(6 * STEPS_PER_EPOCH) in str(curve)
