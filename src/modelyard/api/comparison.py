"""Puts runs side by side: where their configs differ, and what they reached."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.api.tuned import tuned_fields
from modelyard.domain.parts.metrics import better_mode
from modelyard.domain.query import Value, flatten
from modelyard.domain.run import Run
from modelyard.store import Store


@dataclass(frozen=True)
class Line:
    """One field or metric, with one value per run; None where a run has none."""

    name: str
    values: tuple[Value, ...]
    best: int | None = None
    """Index of the best value, for metrics where better is known."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    runs: tuple[Run, ...]
    config: tuple[Line, ...]
    """Fields that are not the same in all runs."""
    metrics: tuple[Line, ...]
    """Last values."""


def compare(store: Store, runs: Sequence[Run]) -> Comparison:
    """Compare the configs (with what they were tuned to) and the metrics' last values of runs."""
    tuned = tuned_fields(store, runs)
    configs = [flatten(json.loads(run.spec_json)) | tuned.get(run.id, {}) for run in runs]
    paths = list(dict.fromkeys(path for config in configs for path in config))
    lines = [Line(path, tuple(config.get(path) for config in configs)) for path in paths]
    names = sorted({name for run in runs for name in run.summary}, key=_metric_order)
    return Comparison(
        runs=tuple(runs),
        config=tuple(line for line in lines if any(value != line.values[0] for value in line.values)),
        metrics=tuple(_metric_line(name, runs) for name in names),
    )


def _metric_line(name: str, runs: Sequence[Run]) -> Line:
    values = tuple(run.summary.get(name) for run in runs)
    known = [(value, index) for index, value in enumerate(values) if value is not None and value == value]  # noqa: PLR0124
    best = None
    if len(known) > 1 and name.startswith(("val_", "test_", "train_loss")):
        best = (min if better_mode(name) == "min" else max)(known, key=lambda item: item[0])[1]
    return Line(name, values, best)


def _metric_order(name: str) -> tuple[int, str]:
    for place, prefix in enumerate(("test_", "val_", "train_")):
        if name.startswith(prefix):
            return place, name
    return 3, name
