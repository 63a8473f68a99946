"""What the API answers with. Field names are those of the domain; times are in UTC."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from modelyard.domain.events import Event, EventPayload
from modelyard.domain.query import Value
from modelyard.domain.run import Experiment, Reason, Run, RunState
from modelyard.store.logs import LogLine


class View(BaseModel):
    """A part of an answer; it never changes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class RunView(View):
    """A run without its config, as it was when it was read."""

    id: str
    name: str
    project: str
    experiment_id: str
    experiment: str
    state: RunState
    reason: Reason
    notice: str
    """What a run waits for, or an empty string."""
    execution: str
    stack_size: int
    gain: float | None
    """How many times as fast as taking turns uncompiled; null if it does that, or if it was not measured."""
    parent_id: str | None
    warm_start: str | None
    trial: int | None
    until_epoch: int | None
    shared_steps: int
    shared_with: str
    priority: int
    attempt: int
    step: int
    total_steps: int | None
    epoch: int
    total_epochs: int | None
    summary: Mapping[str, float | None]
    """The last value of each metric; null for one that is not finite."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class RunDetail(RunView):
    """A run with everything that was fixed when it was made."""

    config: Mapping[str, Any]
    spec_hash: str
    fingerprints: Mapping[str, str]
    inherit_optimizer: bool
    forked: bool


class RunPage(View):
    """Some of the runs that match."""

    total: int
    """How many match."""
    offset: int
    as_of: int
    """The number of the newest event when the list was read: follow the stream after it."""
    runs: Sequence[RunView]
    columns: Mapping[str, Sequence[Value]]
    """The values of the fields that were asked for, one for each run."""


class ExperimentView(View):
    """An experiment without its sweep."""

    id: str
    project: str
    name: str
    run_count: int
    created_at: datetime
    states: Mapping[RunState, int] = {}
    """How many runs are in each state."""


class ExperimentDetail(ExperimentView):
    """An experiment with its sweep, defaults filled in."""

    sweep: Mapping[str, Any]
    sweep_hash: str


class ProjectView(View):
    """A project is a name that experiments share."""

    name: str
    experiments: int
    runs: int
    states: Mapping[RunState, int]


class EventView(View):
    """One entry of the feed of everything that happened."""

    seq: int
    time: datetime
    actor: str
    experiment_id: str | None
    run_id: str | None
    payload: EventPayload


class Progress(View):
    """How far a run in training is: a snapshot, which later ones replace."""

    run_id: str
    state: RunState
    notice: str
    execution: str
    stack_size: int
    gain: float | None
    priority: int
    step: int
    total_steps: int | None
    epoch: int
    total_epochs: int | None
    summary: Mapping[str, float | None]
    updated_at: datetime


class LogLineView(View):
    """One line of a run's log."""

    number: int
    attempt: int
    time: datetime
    text: str

    @classmethod
    def of(cls, line: LogLine) -> Self:
        """Return the view of a line."""
        return cls(number=line.number, attempt=line.attempt, time=line.time, text=line.text)


class Lines(View):
    """Some lines of a run's log, in order."""

    run_id: str
    lines: Sequence[LogLineView]
    next: int = Field(description="the cursor to go on from: the number of the last line that was read")


class Points(View):
    """New points of a run's metric, in order of arrival."""

    run_id: str
    name: str
    next: int
    """The cursor to go on from."""
    steps: Sequence[int]
    times: Sequence[float]
    """Seconds since 1970."""
    values: Sequence[float | None]
    """Null for one that is not finite."""


def run_view(run: Run) -> RunView:
    """Return the view of a run."""
    return RunView(**_run_fields(run))


def run_detail(run: Run) -> RunDetail:
    """Return the view of a run with its config."""
    return RunDetail(
        **_run_fields(run),
        config=run.spec.model_dump(mode="json"),
        spec_hash=run.spec_hash,
        fingerprints=run.fingerprints,
        inherit_optimizer=run.inherit_optimizer,
        forked=run.forked,
    )


def event_view(event: Event) -> EventView:
    """Return the view of an event."""
    return EventView.model_validate(event)


def progress_of(run: Run) -> Progress:
    """Return how far a run is."""
    return Progress(run_id=run.id, **{name: value for name, value in _run_fields(run).items() if name in _PROGRESS})


def experiment_view(experiment: Experiment, states: Mapping[RunState, int]) -> ExperimentView:
    """Return the view of an experiment."""
    return ExperimentView(
        id=experiment.id,
        project=experiment.project,
        name=experiment.name,
        run_count=experiment.run_count,
        created_at=experiment.created_at,
        states=states,
    )


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return value if math.isfinite(value) else None


_PROGRESS = frozenset(Progress.model_fields)


def _run_fields(run: Run) -> dict[str, Any]:
    fields = {name: getattr(run, name) for name in RunView.model_fields if name != "summary"}
    return fields | {"summary": {name: finite(value) for name, value in run.summary.items()}}
