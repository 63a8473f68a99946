"""A search with the real engine, killed with all of its processes: it decides as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelyard.domain.search_log import Entry, Settled
from modelyard.store import open_store

SWEEP = """\
name: digits
run:
  training: {epochs: 27, checkpoint: {every_seconds: 0.2}}
search:
  method: random
  samples: 9
  seed: 3
  space:
    optimizer.learning_rate: {log: [1e-5, 1e-1]}
  scheduler: asha
  concurrency: 4
"""


def start(folder: Path, home: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MODELYARD_HOME": str(folder / home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "modelyard.cli.main", "train", "sweep.yaml", "--execution", "sliced", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def log_of(home: Path) -> list[Entry]:
    with open_store(home) as store:
        return [entry for one in store.experiments.list() for entry in store.searches.log(one.id)]


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


@pytest.mark.long
def test_killed_at_random_a_search_decides_the_same(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    undisturbed = start(tmp_path, "undisturbed")
    assert undisturbed.wait(timeout=240) == 0
    chance = random.Random(4)
    for kill in range(3):
        training = start(tmp_path, "killed", *(["--continue"] if kill else []))
        deadline = time.monotonic() + 60
        home = tmp_path / "killed"
        before = len(log_of(home)) if kill else 0
        while not (home / "modelyard.db").exists() or len(log_of(home)) <= before + 1:
            assert time.monotonic() < deadline
            assert training.poll() is None
            time.sleep(0.1)
        time.sleep(chance.uniform(0, 0.5))
        for pid in [*children(training.pid), training.pid]:
            os.kill(pid, signal.SIGKILL)
        training.wait()
    assert not isinstance(log_of(tmp_path / "killed")[-1], Settled), "it was done before it could be killed"
    assert start(tmp_path, "killed", "--continue").wait(timeout=240) == 0
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "undisturbed")
