"""What runs of one sweep share: decoded images, and what a frozen backbone makes of them.

python bench/shared_data.py                                                     # both tables, minutes
python bench/shared_data.py --images 400 --epochs 2 --heads-images 200 --rounds 1  # a look
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from _table import Table, alternating, ratio
from PIL import Image, ImageDraw
from transformers import ViTConfig, ViTForImageClassification

HERE = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))
CONFIGS = 8
CLASSES = 4
SIDE = 32
BATCH = 32


def write_photos(root: Path, count: int) -> None:
    """Write ``count`` JPEG files of 256 x 256 (a tenth of them for validation): shapes on a noisy slope of colours."""
    random = np.random.default_rng(0)
    slope = np.linspace(0, 90, 256)[:, None, None]
    for number in range(count):
        noise = random.normal(0, 12, (256, 256, 3))
        pixels = random.integers(40, 140, 3) + slope * random.uniform(-1, 1, 3) + noise
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        label, draw = number % CLASSES, ImageDraw.Draw(image)
        for x, y, size in random.integers(20, 180, (3, 3)):
            box, colour = (
                (int(x), int(y), int(x + size // 2), int(y + size // 2)),
                tuple(random.integers(0, 256, 3).tolist()),
            )
            (draw.ellipse, draw.rectangle, draw.line, draw.chord)[label](box, *((0, 200) if label == 3 else ()), colour)
        folder = root / ("val" if number % 40 < CLASSES else "train") / f"class-{label}"
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number:05}.jpg", quality=90)


def write_backbone(folder: Path) -> None:
    """Save a ViT of 5 million parameters with random weights, for images of 64 x 64."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=1024,
        image_size=64,
        patch_size=8,
        num_labels=CLASSES,
    )
    ViTForImageClassification(config).save_pretrained(folder)


class Sweep:
    """One sweep over eight learning rates, trained by ``modelyard train`` in a home of its own."""

    def __init__(self, folder: Path, name: str, run: dict[str, Any]) -> None:
        self.folder = folder
        self.rates = np.geomspace(3e-4, 1e-2, CONFIGS).tolist()
        self.file = folder / f"{name}.yaml"
        space = {"optimizer.learning_rate": {"choice": self.rates}}
        self.file.write_text(json.dumps({"name": name, "run": run, "search": {"method": "grid", "space": space}}))

    def train(self, *options: str) -> float:
        """Return the wall seconds of the command."""
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            environment = {**os.environ, "MODELYARD_HOME": home}
            command = [sys.executable, "-m", "modelyard.cli.main", "train", str(self.file), *options]
            start = perf_counter()
            subprocess.run(command, env=environment, check=True, capture_output=True)
            return perf_counter() - start


def loaders(folder: Path, images: Path, rates: list[float], epochs: int) -> float:
    """Return the wall seconds of plain PyTorch: a loader for each config, a process per core."""
    jobs = []
    for number in range(CORES):
        job = folder / f"loader-{number}.json"
        values = {"folder": str(images), "side": SIDE, "batch": BATCH, "classes": CLASSES, "epochs": epochs}
        job.write_text(json.dumps({**values, "rates": rates[number::CORES]}))
        jobs.append(job)
    start = perf_counter()
    running = [
        subprocess.Popen([sys.executable, HERE / "_loader_side.py", job], stdout=subprocess.PIPE) for job in jobs
    ]
    for process in running:
        process.communicate()
    assert all(process.returncode == 0 for process in running)
    return perf_counter() - start


def measure_decoding(folder: Path, arguments: argparse.Namespace) -> None:
    """Eight small perceptrons over JPEG files."""
    images = folder / "photos"
    write_photos(images, arguments.images)
    run: dict[str, Any] = {
        "model": {"name": "mlp", "hidden_sizes": [64]},
        "optimizer": {"name": "adamw", "weight_decay": 0.01},
        "metrics": ["accuracy"],
        "training": {"epochs": arguments.epochs, "batch_size": BATCH},
    }
    data = {"source": "image-folder", "path": str(images), "image_size": SIDE}
    cached = Sweep(folder, "cached", {**run, "data": data})
    beyond = Sweep(folder, "beyond", {**run, "data": {**data, "cache_mebibytes": 1}})
    sides: dict[str, Callable[[], float]] = {
        "plain": lambda: loaders(folder, images, cached.rates, arguments.epochs),
        "cached": cached.train,
        "beyond": beyond.train,
        "one": lambda: beyond.train("--processes", "1"),
    }
    table = Table(
        title="Shared decoding",
        columns=["8 configs", "samples/s", "against 8 loaders"],
        packages=["modelyard", "torch", "pillow"],
    )
    report(
        table,
        sides,
        arguments,
        samples=CONFIGS * arguments.epochs * arguments.images * 9 // 10,
        base="plain",
        names={
            "plain": f"8 DataLoaders, {CORES} processes",
            "cached": "Modelyard, all images fit the cache",
            "beyond": "Modelyard, 1 MiB cache: each process decodes once per epoch",
            "one": "Modelyard, 1 MiB cache, one process",
        },
    )
    table.note(
        f"{arguments.images} JPEG files of 256 x 256, {arguments.epochs} epochs, resized to {SIDE} x {SIDE}; MLP with "
        f"64 hidden, batch {BATCH}. Training samples per second of the whole command, with start-up and an evaluation "
        "per epoch. One MiB holds the validation images and few of the others."
    )
    table.finish("shared_decoding", write=arguments.write)


def measure_heads(folder: Path, arguments: argparse.Namespace) -> None:
    """Eight heads on one frozen backbone."""
    images = folder / "heads-photos"
    write_photos(images, arguments.heads_images)
    write_backbone(folder / "vit")
    model = {"name": "huggingface", "model": str(folder / "vit"), "freeze_backbone": True}
    run: dict[str, Any] = {
        "data": {"source": "image-folder", "path": str(images), "image_size": 64},
        "optimizer": {"name": "adamw", "weight_decay": 0.01},
        "metrics": ["accuracy"],
        "training": {"epochs": arguments.heads_epochs, "batch_size": BATCH},
    }
    shared = Sweep(folder, "shared", {**run, "model": model})
    each = Sweep(folder, "each", {**run, "model": {**model, "cache_features": False}})
    sides: dict[str, Callable[[], float]] = {"each": each.train, "shared": shared.train}
    table = Table(
        title="Heads on a frozen backbone",
        columns=["8 heads", "samples/s", "against no sharing"],
        packages=["modelyard", "torch", "transformers"],
    )
    report(
        table,
        sides,
        arguments,
        samples=CONFIGS * arguments.heads_epochs * arguments.heads_images * 9 // 10,
        base="each",
        names={
            "each": "the backbone in every step",
            "shared": "its features computed once",
        },
    )
    table.note(
        f"{arguments.heads_images} images of 64 x 64, {arguments.heads_epochs} epochs; a ViT with 6 layers of 256, "
        f"batch {BATCH}. Training samples per second of the whole command; both are Modelyard and share decoded images."
    )
    table.finish("shared_heads", write=arguments.write)


def report(
    table: Table,
    sides: dict[str, Callable[[], float]],
    arguments: argparse.Namespace,
    *,
    samples: int,
    base: str,
    names: dict[str, str],
) -> None:
    """Measure the sides in turn, and add a row for each."""
    _, seconds = alternating(sides, rounds=arguments.rounds, warmup=0)
    rates = {side: [samples / value for value in values] for side, values in seconds.items()}
    for side, values in rates.items():
        gain = ratio(values, rates[base])
        table.row(names[side], ratio(values, [1.0] * len(values)), "1" if side == base else gain)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=["decoding", "heads"], default=["decoding", "heads"])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--heads-images", type=int, default=2000)
    parser.add_argument("--heads-epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        if "decoding" in arguments.rows:
            measure_decoding(Path(folder), arguments)
        if "heads" in arguments.rows:
            measure_heads(Path(folder), arguments)


if __name__ == "__main__":
    main()
