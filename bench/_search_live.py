"""One sweep trained with ASHA by Modelyard, Ray Tune and Optuna, by the clock: same data and batches."""

import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from _logical import REDUCTION, WORKERS
from _plain_data import write_plain_data
from _plain_side import load, train
from _replay import RAY
from _table import Spread, Table, alternating

from modelyard.store import open_store

HERE = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))
EPOCHS = 81
MODEL = {"name": "mlp", "hidden_sizes": [64, 64]}

Trained = tuple[int, int, float]
"""A configuration, the epochs it trained, and its newest validation loss."""


@dataclass
class Side:
    """What one library came to, round by round."""

    seconds: list[float] = field(default_factory=list)
    regrets: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)

    def take(self, seconds: float, trained: Sequence[Trained], last: Sequence[float]) -> float:
        """Add a round. ``last``: the last loss of every configuration, by the yardstick."""
        ended = [(loss, config) for config, epochs, loss in trained if epochs == EPOCHS]
        self.seconds.append(seconds)
        self.regrets.append(last[min(ended)[1]] - min(last) if ended else math.inf)
        self.epochs.append(float(sum(epochs for _, epochs, _ in trained)))
        return seconds


class Sweep:
    """The same configurations for every library."""

    def __init__(self, folder: Path, count: int) -> None:
        chance = random.Random(0)
        self.folder = folder
        self.configs = [
            {
                "model": MODEL,
                "learning_rate": 10 ** chance.uniform(-4, -0.5),
                "weight_decay": 10 ** chance.uniform(-4, 0),
                "batch_size": chance.choice([32, 128]),
                "epochs": EPOCHS,
            }
            for _ in range(count)
        ]
        run = {
            "model": MODEL,
            "optimizer": {"name": "adamw"},
            "metrics": ["accuracy"],
            "training": {"epochs": EPOCHS},
        }
        runs = [
            {
                "optimizer.learning_rate": config["learning_rate"],
                "optimizer.weight_decay": config["weight_decay"],
                "training.batch_size": config["batch_size"],
            }
            for config in self.configs
        ]
        scheduler = {"name": "asha", "reduction": REDUCTION}
        search = {"method": "list", "runs": runs, "scheduler": scheduler, "concurrency": WORKERS}
        self.file = folder / "sweep.yaml"
        self.file.write_text(json.dumps({"name": "live", "run": run, "search": search}))
        self.data = folder / "data.npz"
        write_plain_data(run, self.data)

    def yardstick(self) -> list[float]:
        """Train every configuration to its end in plain PyTorch, and return its last loss."""
        torch.set_num_threads(1)
        data, last = load(str(self.data)), []
        for config in self.configs:
            losses: list[float] = []
            train(config, data, lambda own=losses, **metrics: own.append(metrics["val_loss"]), compiled=False)
            last.append(losses[-1])
        return last

    def modelyard(self) -> tuple[float, list[Trained]]:
        """``modelyard train``."""
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            command = [sys.executable, "-m", "modelyard.cli.main", "train", str(self.file)]
            start = time.perf_counter()
            subprocess.run(command, env={**os.environ, "MODELYARD_HOME": home}, check=True, capture_output=True)
            seconds = time.perf_counter() - start
            with open_store(home) as store:
                kept = [(run.spec, store.searches.evaluations(run.id)) for run in store.runs.list()]
        rates = {config["learning_rate"]: number for number, config in enumerate(self.configs)}
        return seconds, [
            (rates[spec.optimizer.learning_rate], max(losses), losses[max(losses)].get("val_loss", math.inf))
            for spec, losses in kept
        ]

    def ray(self) -> tuple[float, list[Trained]]:
        """Ray Tune: a trial for each core."""
        job = self._job("ray", processes=CORES)
        start = time.perf_counter()
        done = subprocess.run([RAY, HERE / "_ray_side.py", job], check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        return seconds, [tuple(one) for one in json.loads(done.stdout.splitlines()[-1])["trials"]]

    def optuna(self) -> tuple[float, list[Trained]]:
        """Optuna: a worker for each core, and a study in a file."""
        import optuna
        from _optuna_side import storage

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            journal = str(Path(folder) / "journal")
            start = time.perf_counter()
            study = optuna.create_study(study_name="live", storage=storage(journal))
            for number in range(len(self.configs)):
                study.enqueue_trial({"number": number})
            job = self._job("optuna", study="live", journal=journal)
            workers = [subprocess.Popen([sys.executable, HERE / "_optuna_side.py", job]) for _ in range(CORES)]
            assert all(worker.wait() == 0 for worker in workers)
            seconds = time.perf_counter() - start
            trials = [trial for trial in study.get_trials(deepcopy=False) if trial.number < len(self.configs)]
        return seconds, [
            (one.params["number"], one.last_step, one.intermediate_values[one.last_step]) for one in trials
        ]

    def _job(self, name: str, **more: Any) -> Path:
        job = self.folder / f"{name}.json"
        job.write_text(json.dumps({"configs": self.configs, "data": str(self.data), "reduction": REDUCTION, **more}))
        return job


def measure(count: int, rounds: int) -> Table:
    """Train the sweep with each library in turn."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        sweep = Sweep(Path(folder), count)
        last = sweep.yardstick()
        libraries: dict[str, Callable[[], tuple[float, list[Trained]]]] = {"Modelyard": sweep.modelyard}
        libraries |= {"Ray Tune": sweep.ray} if RAY.exists() else {}
        libraries |= {"Optuna": sweep.optuna}
        sides = {name: Side() for name in libraries}
        alternating(
            {name: lambda own=name: sides[own].take(*libraries[own](), last) for name in libraries},
            rounds=rounds,
            warmup=0,
        )
    table = Table(
        title=f"ASHA live: {count} MLPs 64-64-64-10 on digits, {EPOCHS} epochs, by the clock",
        columns=["library", "wall seconds", "regret", "epochs trained"],
        packages=["modelyard", "torch", "optuna"],
    )
    for name in ("Modelyard", "Ray Tune", "Optuna"):
        if name in sides:
            table.row(name, *map(Spread.of, (sides[name].seconds, sides[name].regrets, sides[name].epochs)))
        else:
            table.row(name, "not installed", "-", "-")
    table.note(f"Rungs at 1, 3, 9, 27 and {EPOCHS} epochs. {rounds} rounds, in turn. Whole commands: start of Python,")
    table.note(
        f"imports, data, training, an evaluation per epoch. Ray Tune and Optuna: {CORES} processes of one thread"
    )
    table.note(
        "that train in plain PyTorch, as in many.py; they keep nothing. Modelyard keeps checkpoints, metrics and logs."
    )
    table.note(
        "Regret: of the configuration that a library ends with, by how much its last loss is above the best of all,"
    )
    table.note("where all were trained to their end in plain PyTorch.")
    return table
