"""What a report says, as plain data: ``--json`` prints it and ``html/`` draws it. None stands for "unavailable"."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from modelyard.api.results import Result
from modelyard.domain.query import Value


@dataclass(frozen=True, kw_only=True)
class ReportedExperiment:
    """An experiment that runs of the report belong to."""

    id: str
    name: str
    project: str
    created_at: datetime
    run_count: int
    """Runs that it has now; the report may be about some of them."""
    search: str
    """How the base run became many: ``grid``, ``random`` and so on."""
    space: Mapping[str, str]
    """What was searched: field to its values, in words."""
    base: Mapping[str, Value]
    """Config of the base run, by dotted path."""


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """One run of the report."""

    id: str
    name: str
    experiment: str
    rank: int | None
    """Place by the best value of the report's metric, from 1; None without one."""
    state: str
    live: bool
    """Whether it is still in training or waits for it, so that its figures are not final."""
    why: str
    color: int
    """Place in the palette; the same in every report."""
    dash: int
    result: Result | None
    """What it reached in the report's metric."""
    metrics: Mapping[str, float]
    """The last value of each metric."""
    parameters: Mapping[str, Value]
    """The fields that vary among the runs of the report."""
    execution: str
    seconds: float | None
    """From its first start to its end, or to the newest sign of life; pauses included."""
    epoch: int
    epochs: int | None
    step: int
    total_steps: int | None
    samples_per_second: float | None
    """As last measured."""
    spec_hash: str
    fingerprints: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one run, in buckets of ``Panel.width`` steps; all tuples have the same length."""

    run_id: str
    steps: tuple[int, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A chart of one metric."""

    metric: str
    width: int
    """Steps per bucket."""
    log: bool
    """Whether a logarithmic axis fits."""
    curves: tuple[Curve, ...]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """How the result goes with one varied field, among completed runs. It is no proof of a cause."""

    field: str
    numeric: bool
    log: bool
    """Whether the field's values spread over orders of magnitude."""
    points: tuple[tuple[Value, float, str], ...]
    """The field's value, the best value of the metric, the run's id."""
    correlation: float | None
    """Spearman's rank correlation, for numbers; None: too few runs, or no number."""
    explained: float | None
    """Share of the variance that groups by the field explain; None: too few runs."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """Runs that were trained in the same way."""

    execution: str
    """``solo``, ``sliced``, ``stacked``; empty: not started."""
    group: int
    """Runs trained as one model, each included."""
    gain: float | None
    """Measured, against taking turns."""
    runs: int
    devices: tuple[str, ...]
    reason: str
    """Why, as the engine said it last."""


class Kind(StrEnum):
    """What sort of thing happened."""

    FAILED = "failed"
    LOST = "process lost"
    PAUSED = "paused"
    STOPPED = "stopped"
    TUNED = "tuned"
    REFUSED = "refused"
    CLONED = "cloned"
    CORRUPT = "corrupt checkpoint"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that a reader should know of."""

    time: datetime
    kind: Kind
    run_id: str | None
    run: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Descent:
    """Where a clone comes from."""

    run: str
    parent: str | None
    """Name of the parent; None if it was deleted."""
    warm_start: str | None
    """The weights that it started from, in words."""


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """What one class of a confusion matrix says. None where it is not defined."""

    name: str
    support: int
    recall: float | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A confusion matrix that a run has kept."""

    artifact: str
    step: int
    classes: tuple[ClassFigures, ...]
    counts: tuple[tuple[int, ...], ...]
    """Rows: true class; columns: predicted class."""


@dataclass(frozen=True, kw_only=True)
class BestRun:
    """More about the run in the first place."""

    run_id: str
    name: str
    changes: tuple[tuple[str, Value, Value], ...]
    """Field, value in the base run, value in this run."""
    config: Mapping[str, Value]
    """All fields, with what they were tuned to."""
    confusions: tuple[Confusion, ...]
    recipe: str
    """A sweep file that trains this config again."""
    caveats: tuple[str, ...]
    """Why that would not give the same numbers."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All of it."""

    title: str
    created_at: datetime
    made_with: str
    experiments: tuple[ReportedExperiment, ...]
    metric: str | None
    """What runs are ranked by: their best value of it."""
    lowest: bool
    """Whether less of it is better."""
    runs: tuple[ReportedRun, ...]
    """Best first."""
    varied: tuple[str, ...]
    drawn: int
    """How many of the runs, from the first place on, have curves here."""
    panels: tuple[Panel, ...]
    effects: tuple[Effect, ...]
    ways: tuple[Way, ...]
    best: BestRun | None
    happenings: tuple[Happening, ...]
    happenings_hidden: int
    """Older ones that are left out."""
    descents: tuple[Descent, ...]
