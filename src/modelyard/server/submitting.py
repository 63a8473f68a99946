"""Takes sweeps that somebody sends: as the text of a sweep file, or as a mapping."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.api.datacheck import check_runs, check_search
from modelyard.api.sweepfile import expand_at, parse_runs, sweep_from_mapping
from modelyard.api.training import create
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.server.views import ExperimentView, View, experiment_view
from modelyard.store import Store

SOURCE = "sweep.yaml"
"""What messages call the text that was sent."""


class Submission(BaseModel):
    """A sweep: exactly one of ``text`` (YAML, as in a sweep file) and ``sweep`` (the same as a mapping)."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = None
    sweep: Mapping[str, Any] | None = None
    key: Annotated[str, Field(max_length=100)] = ""
    """Any text that the client chose for it: what comes twice with the same key is queued once."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.text is None) is (self.sweep is None):
            raise ValueError("give either text or sweep")
        return self


class Validated(View):
    """What is to be said of a sweep before it is queued."""

    valid: bool
    problems: list[str]
    """One for each mistake, with the line of the text where it is known."""
    name: str | None
    runs: int | None
    """How many runs it would make at first."""
    sweep: Mapping[str, Any] | None
    """The sweep with all defaults filled in."""


def submit(store: Store, submission: Submission, *, actor: str) -> ExperimentView:
    """Queue the runs of a sweep, checked down to its data and models. Raises ``ConfigError``, ``DataError``."""
    sweep, specs = _read(submission)
    check_search(sweep, check_runs(sweep.name, specs, store))
    experiment = create(store, sweep, specs, actor=actor)
    return experiment_view(experiment, store.runs.count_states().get(experiment.id, {}))


def validate_submission(submission: Submission) -> Validated:
    """Check the fields of a sweep; opens no data."""
    try:
        sweep, specs = _read(submission)
    except ConfigError as error:
        return Validated(valid=False, problems=str(error).splitlines(), name=None, runs=None, sweep=None)
    return Validated(valid=True, problems=[], name=sweep.name, runs=len(specs), sweep=sweep.model_dump(mode="json"))


def _read(submission: Submission) -> tuple[SweepSpec, tuple[RunSpec, ...]]:
    if submission.text is not None:
        return parse_runs(submission.text, SOURCE)
    sweep = sweep_from_mapping(submission.sweep or {})
    return sweep, expand_at(sweep)
