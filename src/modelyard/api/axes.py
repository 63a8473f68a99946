"""What a chart's horizontal axis counts: steps, epochs, time or samples."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.api.results import epochs_of
from modelyard.domain.run import Run
from modelyard.store import Store
from modelyard.store.metrics import ChartSeries


class Axis(StrEnum):
    """What is counted."""

    STEP = "step"
    """Optimizer steps."""
    EPOCH = "epoch"
    """Passes over the training data, and parts of one."""
    TIME = "time"
    """Seconds since the run began to train, pauses included; below zero is what another run trained for it before."""
    SAMPLES = "samples"
    """Steps times samples in a step; the last step of an epoch, which may have fewer, counts like the others."""


def positions(store: Store, axis: Axis, name: str, drawn: Mapping[str, ChartSeries]) -> dict[str, NDArray[np.float64]]:
    """Return where each bucket of a metric's chart lies on an axis, by run.

    Runs of which that is not known are left out: those that have not begun, and by epochs or samples those that a
    trainer of the user's own trains, which may end in the middle of an epoch and has batches of its own.
    """
    if axis is Axis.STEP:
        return {run_id: series.steps.astype(np.float64) for run_id, series in drawn.items()}
    runs = store.runs.list(ids=list(drawn))
    if axis is Axis.TIME:
        logged = store.metrics.times(name, drawn)
        return {
            run.id: logged[run.id] - run.started_at.timestamp()
            for run in runs
            if run.id in logged and run.started_at is not None
        }
    scales = _epochs_per_step(store, runs) if axis is Axis.EPOCH else _samples_per_step(runs)
    return {run_id: drawn[run_id].steps.astype(np.float64) * scale for run_id, scale in scales.items()}


def _epochs_per_step(store: Store, runs: list[Run]) -> dict[str, float]:
    configured = epochs_of(store, runs)
    epochs = {run.id: run.total_epochs or configured[run.id] for run in runs if not _config(run).get("trainer")}
    return {
        run.id: known / run.total_steps for run in runs if run.total_steps and (known := epochs.get(run.id)) is not None
    }


def _samples_per_step(runs: list[Run]) -> dict[str, float]:
    configs = {run.id: _config(run) for run in runs}
    return {
        run_id: float(config["training"]["batch_size"] * config["training"]["accumulate"])
        for run_id, config in configs.items()
        if not config.get("trainer")
    }


def _config(run: Run) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(run.spec_json)
    return config
