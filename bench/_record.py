"""Recorded curves: what they are, and how they were trained. ``python bench/search.py --record`` trains them again."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _logical import Curves
from _table import RESULTS

from modelyard.api.experiment import train
from modelyard.domain.sample_scores import read_scores, scores_text
from modelyard.store import Store, open_store

EPOCHS = 27
EASY = RESULTS / "curves-digits.json"
HARD = RESULTS / "curves-small-data.json"
SCORED = RESULTS / "scores-small-data.npz"

Scores = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
"""[configurations, epochs, validation samples], 255 for a chance of 1 that the model gives to the true class."""

_TRAINING = {"epochs": EPOCHS, "log_every": 1000}
_EASY: dict[str, Any] = {
    "name": "curves",
    "run": {"model": {"name": "mlp", "hidden_sizes": [32]}, "metrics": ["accuracy"], "training": _TRAINING},
    "search": {
        "method": "random",
        "samples": 48,
        "space": {
            "optimizer.learning_rate": {"log": [1e-4, 1.0]},
            "optimizer.weight_decay": {"log": [1e-4, 1.0]},
            "model.dropout": {"float": [0.0, 0.8]},
            "schedule.name": {"choice": ["constant", "cosine"]},
            "training.batch_size": {"choice": [32, 128]},
        },
    },
}
_HARD: dict[str, Any] = {
    "name": "curves",
    "run": {
        "data": {"source": "digits", "max_per_class": 25},
        "model": {"name": "mlp"},
        "metrics": ["accuracy"],
        "training": _TRAINING,
    },
    "search": {
        "method": "random",
        "samples": 1000,
        "space": {
            "model.hidden_sizes": {"choice": [[16], [64], [32, 32]]},
            "model.dropout": {"float": [0.0, 0.8]},
            "optimizer.learning_rate": {"log": [1e-4, 1.0]},
            "optimizer.weight_decay": {"log": [1e-4, 1.0]},
            "schedule.name": {"choice": ["constant", "cosine", "warmup-cosine", "one-cycle"]},
            "training.batch_size": {"choice": [8, 32]},
        },
    },
}


def record() -> None:
    """Train everything: 48 runs one after the other, a thousand as Modelyard likes, 64 of these with their scores."""
    for file, sweep, execution in ((EASY, _EASY, "sliced"), (HARD, _HARD, None)):
        with tempfile.TemporaryDirectory() as home:
            train(sweep, home=home, execution=execution).close()
            with open_store(home) as store:
                losses = _losses(store)
        file.write_text(json.dumps({"sweep": sweep, "val_loss": losses}))
    _record_scores(samples=64)


def _record_scores(*, samples: int) -> None:
    """Racing keeps scores; with a single look and more patience than that, it drops nobody."""
    racing = {"name": "racing", "interval": EPOCHS - 1, "patience": 2}
    sweep = {**_HARD, "search": {**_HARD["search"], "samples": samples, "scheduler": racing, "concurrency": samples}}
    with tempfile.TemporaryDirectory() as home:
        train(sweep, home=home).close()
        with open_store(home) as store:
            losses = _losses(store)
            scores = [
                [read_scores(scores_text(store.searches.scores(run.id, epoch))) for epoch in range(1, EPOCHS + 1)]
                for run in store.runs.list()
            ]
    np.savez_compressed(SCORED, val_loss=np.float32(losses), scores=np.uint8(np.rint(np.array(scores) * 255)))


def _losses(store: Store) -> list[list[float]]:
    kept = [store.searches.evaluations(run.id) for run in store.runs.list()]
    return [[round(metrics["val_loss"], 5) for metrics in epochs.values() if "val_loss" in metrics] for epochs in kept]


def read_curves(file: Path) -> Curves:
    """Return the validation losses of a file; runs whose loss was once not finite are left out."""
    losses: list[list[float]] = json.loads(file.read_text())["val_loss"]
    return [curve for curve in losses if len(curve) == EPOCHS]


def read_scored() -> tuple[Curves, Scores]:
    """Return the validation losses and the scores of the runs that were recorded with both."""
    with np.load(SCORED) as arrays:
        return arrays["val_loss"].astype(float).round(5).tolist(), arrays["scores"]
