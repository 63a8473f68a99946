"""The whole program with the real engine, as the first-run guide shows it: train, steer, pull the plug, go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SWEEP = """\
name: digits
run:
  training: {epochs: 100000, checkpoint: {every_seconds: 0.5}}
  model: {name: mlp, hidden_sizes: [32]}
search:
  method: grid
  space:
    optimizer.learning_rate: {choice: [0.001, 0.003]}
"""


class Program:
    """``modelyard`` as a process, on a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "MODELYARD_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "modelyard.cli.main", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == expect, (out, err)
        return out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def let_end_soon(self) -> int:
        """Lower the number of epochs so far that the runs end in a few seconds; return it."""
        epochs = max(run["epoch"] for run in self.json("runs", "list")) + 20
        for name in ("digits-1", "digits-2"):
            self("tune", name, "--epochs", str(epochs), "--no-wait")
        return epochs

    def wait_for(self, condition: Any, *, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition(runs := {run["name"]: run for run in self.json("runs", "list")}):
            assert time.monotonic() < deadline, runs
            time.sleep(0.2)


@pytest.mark.long
def test_train_steer_pull_the_plug_go_on_and_predict(tmp_path: Path) -> None:
    program = Program(tmp_path)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    training = program.start("train", "sweep.yaml")
    try:
        program.wait_for(lambda runs: len(runs) == 2 and all(run["step"] > 20 for run in runs.values()))
        assert "paused at step" in program("pause", "digits-1")
        assert "learning_rate 0.0005" in program("tune", "digits-2", "--learning-rate", "0.0005")
        assert "nothing" not in program("clone", "digits-2", "--set", "training.epochs=3", "--warm-start", "last")
        training.send_signal(signal.SIGKILL)
    finally:
        training.kill()
        training.communicate()
    # Nothing runs any more. The clone of three epochs may have been quick enough to end before the plug was pulled.
    program.wait_for(lambda runs: {run["state"] for run in runs.values()} <= {"queued", "paused", "completed"})
    assert program.json("runs", "show", "digits-1")["state"] == "paused"
    epochs = program.let_end_soon()
    program("train", "sweep.yaml", "--continue")
    runs = {run["name"]: run for run in program.json("runs", "list")}
    assert {name: run["state"] for name, run in runs.items()} == dict.fromkeys(runs, "completed")
    assert (runs["digits-1"]["epoch"], runs["digits-3"]["epoch"]) == (epochs, 3)
    steps = program.json("runs", "metrics", "digits-1", "--name", "val_accuracy")[0]["metrics"]["val_accuracy"]["steps"]
    assert len(steps) == len(set(steps)) == epochs, "each epoch counts once, whatever happened"
    assert program.json("runs", "show", "digits-2")["tuned"]["optimizer.learning_rate"] == 0.0005
    Image.fromarray(np.full((8, 8), 90, dtype=np.uint8)).save(tmp_path / "digit.png")
    predictions = program.json("predict", "digit.png", "--run", "digits-1")["predictions"]
    assert predictions[0]["label"] in {str(digit) for digit in range(10)}
    assert "10 classes" in program("datasets", "inspect", "digits")
    program("delete", "digits", "--yes")
    program("gc")
    assert program.json("storage")["checkpoints"] == 0


@pytest.mark.long
def test_ctrl_c_pauses_and_resume_goes_on(tmp_path: Path) -> None:
    program = Program(tmp_path)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    training = program.start("train", "sweep.yaml")
    try:
        program.wait_for(lambda runs: len(runs) == 2 and all(run["step"] > 20 for run in runs.values()))
        training.send_signal(signal.SIGINT)
        out, err = training.communicate(timeout=60)
    finally:
        training.kill()
    assert training.returncode == 0, err
    assert out.endswith("paused; go on with: modelyard resume digits\n")
    assert {run["state"] for run in program.json("runs", "list")} == {"paused"}
    epochs = program.let_end_soon()
    program("resume", "digits")
    assert {(run["state"], run["epoch"]) for run in program.json("runs", "list")} == {("completed", epochs)}
