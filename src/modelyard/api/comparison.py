"""Puts runs side by side: where their configs differ, and what they reached."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.api.results import Result, is_judged, lower_is_better, metric_names, results, search_goals
from modelyard.api.tuned import tuned_fields
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

    @property
    def differs(self) -> bool:
        """Whether the values are not all the same."""
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True)
class MetricLine(Line):
    """The final values of one metric, and the best ones with where they were reached."""

    results: tuple[Result | None, ...] = ()
    lowest: bool = False
    """Whether less is better."""

    @property
    def top(self) -> float | None:
        """The best value of all runs."""
        bests = [result.best for result in self.results if result is not None and result.best is not None]
        return (min if self.lowest else max)(bests, default=None)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    runs: tuple[Run, ...]
    config: tuple[Line, ...]
    """Fields that are not the same in all runs."""
    metrics: tuple[MetricLine, ...]
    """Final values."""


def compare(store: Store, runs: Sequence[Run]) -> Comparison:
    """Compare the configs (with what they were tuned to) and the metrics of runs.

    The number of queries grows with the metrics, not with the runs.
    """
    goals = search_goals(store, runs)
    return Comparison(
        runs=tuple(runs),
        config=differing(configs(store, runs)),
        metrics=tuple(
            _metric_line(store, name, runs, lower_is_better(name, runs, goals)) for name in metric_names(runs)
        ),
    )


def configs(store: Store, runs: Sequence[Run]) -> list[Mapping[str, Value]]:
    """Return the config of each run by dotted path, with what it was tuned to. One query."""
    tuned = tuned_fields(store, runs)
    return [flatten(json.loads(run.spec_json)) | tuned.get(run.id, {}) for run in runs]


def differing(found: Sequence[Mapping[str, Value]]) -> tuple[Line, ...]:
    """Return the fields that are not the same in all configs."""
    return tuple(line for line in all_lines(found) if line.differs)


def all_lines(found: Sequence[Mapping[str, Value]]) -> tuple[Line, ...]:
    """Return every field of the configs."""
    paths = dict.fromkeys(path for config in found for path in config)
    return tuple(Line(path, tuple(config.get(path) for config in found)) for path in paths)


def _metric_line(store: Store, name: str, runs: Sequence[Run], lowest: bool) -> MetricLine:
    reached = results(store, runs, name, lowest=lowest)
    values = tuple(run.summary.get(name) for run in runs)
    known = [(value, index) for index, value in enumerate(values) if value is not None and value == value]  # noqa: PLR0124
    best = None
    if len(known) > 1 and is_judged(name):
        best = (min if lowest else max)(known, key=lambda item: item[0])[1]
    return MetricLine(name, values, best, tuple(reached.get(run.id) for run in runs), lowest)
