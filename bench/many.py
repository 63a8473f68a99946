"""Many configurations at once: Modelyard beside plain PyTorch and Ray Tune, on the same data, steps and dtype.

python bench/many.py --setup                # once: install Ray into bench/.venv-ray
python bench/many.py --mnist FOLDER         # MNIST as IDX files, for the wide perceptron
python bench/many.py --rows mlp --rounds 1  # some of it
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _plain_data import write_plain_data
from _table import Spread, Table, alternating, ratio

from modelyard.domain.events import AttemptStarted
from modelyard.store import open_store

HERE = Path(__file__).parent
PEER = HERE / ".venv-ray"
CORES = len(os.sched_getaffinity(0))
ROWS: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "mlp": ("MLP 64-64-64-10, batch 32", {"name": "mlp", "hidden_sizes": [64, 64]}, 32, 250),
    "wide": ("MLP 784-128-10, batch 32", {"name": "mlp", "hidden_sizes": [128]}, 32, 100),
    "cnn": ("CNN 8-16-32, 8x8, batch 32", {"name": "cnn", "channels": [8, 16], "hidden_size": 32}, 32, 60),
    "vit": (
        "ViT 32 wide, 2 blocks, batch 8",
        {"name": "vit", "hidden_size": 32, "layers": 2, "heads": 2, "patch_size": 2},
        8,
        12,
    ),
    "large": (
        "ViT 64 wide, 4 blocks, batch 32",
        {"name": "vit", "hidden_size": 64, "layers": 4, "heads": 4, "patch_size": 2},
        32,
        6,
    ),
}


NAMES = {
    "a": "plain PyTorch, one after the other",
    "b": "plain PyTorch, a process per core",
    "c": "Ray Tune",
    "compiled": "plain PyTorch, a process per core, torch.compile",
    "ours": "Modelyard",
}
MOST_AT_FULL_LENGTH = 16
"""More configs train for fewer epochs each, so that every row takes about as long."""


class Job:
    """One row: the same configs for every side."""

    def __init__(self, folder: Path, key: str, count: int, mnist: Path | None, longer: int) -> None:
        self.label, model, batch, epochs = ROWS[key]
        self.key, self.count, self.batch = key, count, batch
        epochs = max(1, longer * epochs * MOST_AT_FULL_LENGTH // max(count, MOST_AT_FULL_LENGTH))
        self.folder = folder / f"{key}-{count}"
        self.folder.mkdir()
        data: dict[str, Any] = {"source": "digits"}
        if key == "wide":
            path = str(mnist and mnist.resolve())  # a sweep's paths are relative to its file
            data = {"source": "idx", "path": path, "max_per_class": 150, "val_fraction": 0.005}
        self.run = {
            "data": data,
            "model": model,
            "optimizer": {"name": "adamw", "weight_decay": 0.01},
            "metrics": ["accuracy"],
            "training": {"epochs": epochs, "batch_size": batch},
        }
        rates = np.geomspace(3e-4, 1e-2, count).tolist()
        self.configs = [
            {"model": model, "learning_rate": rate, "weight_decay": 0.01, "batch_size": batch, "epochs": epochs}
            for rate in rates
        ]
        sweep = {
            "name": key,
            "run": self.run,
            "search": {"method": "grid", "space": {"optimizer.learning_rate": {"choice": rates}}},
        }
        self.sweep = self.folder / "sweep.yaml"
        self.sweep.write_text(json.dumps(sweep))
        self.data = self.folder / "data.npz"
        self.samples = write_plain_data(self.run, self.data)
        self.found: list[str] = []
        self.accuracies: list[float] = []
        self.training: defaultdict[str, list[float]] = defaultdict(list)
        """Seconds from the first run's beginning to the last one's end, by side and round."""

    def plain(self, side: str, *, processes: int, threads: int) -> float:
        """Return the wall seconds of a side of plain PyTorch; threads 0 is PyTorch's default."""
        jobs = []
        for number in range(processes):
            job = self.folder / f"plain-{number}.json"
            mine = self.configs[number::processes]
            job.write_text(
                json.dumps(
                    {"configs": mine, "threads": threads, "compiled": side == "compiled", "data": str(self.data)}
                )
            )
            jobs.append(job)
        start = time.perf_counter()
        running = [
            subprocess.Popen([sys.executable, HERE / "_plain_side.py", job], stdout=subprocess.PIPE) for job in jobs
        ]
        answers = [process.communicate()[0] for process in running]
        seconds = time.perf_counter() - start
        assert all(process.returncode == 0 for process in running)
        self.accuracies = [accuracy for answer in answers for accuracy in json.loads(answer)["accuracies"]]
        self.training[side].append(max(json.loads(answer)["seconds"] for answer in answers))
        return seconds

    def limit(self) -> float:
        """Return how many times as fast one model takes samples in batches as large as those of a whole stack."""
        job = self.folder / "limit.json"
        members = len(self.configs) // CORES
        job.write_text(json.dumps({"configs": self.configs, "threads": 1, "data": str(self.data), "members": members}))
        done = subprocess.run([sys.executable, HERE / "_plain_side.py", job], check=True, capture_output=True)
        return float(json.loads(done.stdout)["limit"])

    def ray(self) -> float:
        """Return the wall seconds of Ray Tune."""
        job = self.folder / "ray.json"
        job.write_text(json.dumps({"configs": self.configs, "processes": CORES, "data": str(self.data)}))
        start = time.perf_counter()
        subprocess.run([PEER / "bin" / "python", HERE / "_ray_side.py", job], check=True, capture_output=True)
        return time.perf_counter() - start

    def modelyard(self, *options: str) -> float:
        """Return the wall seconds of ``modelyard train``, from the command to its end."""
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            command = [sys.executable, "-m", "modelyard.cli.main"]
            environment = {**os.environ, "MODELYARD_HOME": home}
            start = time.perf_counter()
            done = subprocess.run(
                [*command, "train", str(self.sweep), *options],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            seconds = time.perf_counter() - start
            self.found = [
                line.partition("(")[2].rstrip(")") for line in done.stdout.splitlines() if "others like it" in line
            ]
            with open_store(home) as store:
                self.ours = [run.summary["val_accuracy"] for run in store.runs.list()]
                events = [event for event in store.events.read(limit=100_000) if event.run_id is not None]
            begun = min(event.time for event in events if isinstance(event.payload, AttemptStarted))
            self.training["ours"].append((max(event.time for event in events) - begun).total_seconds())
        return seconds


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true", help="install Ray into bench/.venv-ray")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--counts", nargs="+", type=int, default=[16], help="numbers of configs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mnist", type=Path, help="folder with MNIST's IDX files")
    parser.add_argument("--longer", type=int, default=1, help="train for so many times as many epochs")
    parser.add_argument(
        "--against", nargs="+", choices=[name for name in NAMES if name != "ours"], default=["a", "b", "c"]
    )
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/results/many-*.md")
    arguments = parser.parse_args()
    if arguments.setup:
        venv.create(PEER, with_pip=True)
        same = f"torch=={importlib.metadata.version('torch')}"  # the very build that the other sides run on
        subprocess.run(
            [PEER / "bin/python", "-m", "pip", "install", "-q", same, "scikit-learn", "ray[tune]"], check=True
        )
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        measure(Path(folder), arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Run all sides of a row in turn, row by row; each row is a table of its own."""
    for key in arguments.rows:
        if key == "wide" and arguments.mnist is None:
            continue
        for count in arguments.counts:
            measure_row(Job(folder, key, count, arguments.mnist, arguments.longer), arguments)


def measure_row(job: Job, arguments: argparse.Namespace) -> None:
    """Measure and print one row."""
    sides: dict[str, Callable[[], float]] = {
        "a": lambda: job.plain("a", processes=1, threads=0),
        "b": lambda: job.plain("b", processes=CORES, threads=1),
        "c": job.ray,
        "compiled": lambda: job.plain("compiled", processes=CORES, threads=1),
    }
    against = [name for name in sides if name in arguments.against and (name != "c" or has_ray())]
    sides = {name: sides[name] for name in against} | {"ours": job.modelyard}
    spreads, values = alternating(sides, rounds=arguments.rounds, warmup=0)
    columns = [job.label, "whole command, s", "times Modelyard", "training alone, s", "times Modelyard"]
    table = Table(title=f"Many at once: {job.count} x {job.label}", columns=columns, packages=["modelyard", "torch"])
    for name in sides:
        cells = [NAMES[name], spreads[name], ratio(values[name], values["ours"])]
        alone = job.training.get(name)
        table.row(*cells, *((Spread.of(alone), ratio(alone, job.training["ours"])) if alone else ("", "")))
    table.note(f"{job.samples} samples x {job.configs[0]['epochs']} epochs of each configuration, batch {job.batch}.")
    table.note("Whole command: start of Python, imports, data, training, one evaluation per epoch.")
    table.note("Training alone: from the beginning of the first run to the end of the last one, trials included.")
    table.note("All: fp32, fused AdamW, the same batches in the same order. A process per core has one thread.")
    table.note("Modelyard also keeps checkpoints, the best weights, metrics and logs; the plain sides keep nothing.")
    table.note(
        f"The limit: in batches as large as those of a whole stack of {job.count // CORES}, plain PyTorch takes "
        f"{job.limit():.2f} times as many samples a second."
    )
    for side, accuracies in (("plain PyTorch", job.accuracies), ("Modelyard", job.ours)):
        if accuracies:
            table.note(f"Mean validation accuracy of {side}: {100 * float(np.mean(accuracies)):.2f}%.")
    if "c" in arguments.against and not has_ray():
        table.note("Ray Tune is not installed: see --setup.")
    table.note(f"Modelyard found in its last round: {'; '.join(job.found) or 'nothing to choose'}.")
    longer = f"-{arguments.longer}x" if arguments.longer > 1 else ""
    table.finish(f"many-{job.key}-{job.count}{longer}", write=arguments.write)


def has_ray() -> bool:
    """Whether ``--setup`` was run."""
    return (PEER / "bin" / "python").exists()


if __name__ == "__main__":
    main()
