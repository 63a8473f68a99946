"""What the board of an experiment shows besides lists and charts: fields, effects, differences, plan and search."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from modelyard.api.comparison import all_lines, configs, differing
from modelyard.api.fields import FieldKind, list_fields
from modelyard.api.planning import plan_sweep
from modelyard.api.report.effects import LEAST_RUNS, find_effects
from modelyard.api.report.history import find_ways, read_events
from modelyard.api.report.model import Effect
from modelyard.api.results import check_metric, choose_metric, lower_is_better, results, search_goals
from modelyard.api.searchview import view_search
from modelyard.api.selection import select_runs
from modelyard.api.training import Resources
from modelyard.domain.config import SweepSpec
from modelyard.domain.plan import Execution
from modelyard.domain.query import Value
from modelyard.domain.run import FINAL
from modelyard.server.context import Here
from modelyard.server.views import View

router = APIRouter(tags=["board"])
MOST_COMPARED = 100

Where = Annotated[str | None, Query(alias="filter", description="only runs that match")]


class FieldView(View):
    """A field that runs have."""

    name: str
    kind: FieldKind
    differs: bool
    """Whether a field of the config is not the same in all of them."""
    lower_is_better: bool
    """Of a metric; where nothing says so, more is better."""


class EffectPoint(View):
    """One run."""

    run_id: str
    value: Value
    """Of the field."""
    best: float
    """Of the metric."""


class EffectView(View):
    """How the result goes with one field that varies, among completed runs. It is no proof of a cause."""

    field: str
    numeric: bool
    log: bool
    """Whether the field's values spread over orders of magnitude."""
    points: Sequence[EffectPoint]
    correlation: float | None
    """Spearman's rank correlation; null for what is no number, or with too few runs."""
    explained: float | None
    """Share of the variance that groups by the field explain; null with too few runs."""


class EffectsView(View):
    """What a result depends on, the strongest first."""

    metric: str | None
    """Null while the runs have none."""
    lower_is_better: bool
    least_runs: int
    """How many completed runs it takes for a figure."""
    effects: Sequence[EffectView]


class LineView(View):
    """One field of the config, with a value for each run; null where a run has none."""

    name: str
    values: Sequence[Value]
    differs: bool


class ComparedView(View):
    """A run that is compared."""

    id: str
    name: str


class ComparisonView(View):
    """Configs side by side, with what they were tuned to."""

    runs: Sequence[ComparedView]
    fields: Sequence[LineView]


class WayView(View):
    """Runs that train, or were trained last, in the same way."""

    execution: str
    """Empty: they have not begun."""
    group: int
    """Runs trained as one model, each included."""
    gain: float | None
    """Measured, against taking turns."""
    runs: int
    devices: Sequence[str]
    reason: str
    """Why, as the engine said it last."""


class GroupView(View):
    """Runs that one engine process would train."""

    execution: Execution | None
    """Null: measured while they train."""
    device: str
    slots: int
    threads: int
    reason: str


class PlanView(View):
    """How the runs that are left would be trained on this machine, if nothing else were."""

    left: int
    cores: int
    groups: Sequence[GroupView]


class RungView(View):
    """The trials that a search looked at after so many epochs."""

    epoch: int
    came: int
    training: int
    waiting: int
    stopped: int
    went_on: int
    best: str


class StepView(View):
    """One thing that happened in a search: a decision, a request of somebody, or a failure."""

    time: datetime
    kind: str
    trial: int | None
    run: str
    epoch: int | None
    until: int | None
    reason: str
    actor: str


class SearchView(View):
    """A search as far as it is."""

    description: str
    ending: str
    """How it ended; empty while it goes on."""
    trials: int
    best_trial: int | None
    runs: Mapping[int, str]
    """The name of each trial's run."""
    rungs: Sequence[RungView]
    history: Sequence[StepView]
    """Oldest first."""


@router.get("/experiments/{ref}/fields")
def fields(here: Here, ref: str) -> list[FieldView]:
    """List the fields that an experiment's runs have: their own, those of their configs, their metrics."""
    found = list_fields(here.store, select_runs(here.store, experiment=ref))
    return [FieldView.model_validate(field) for field in found]


@router.get("/experiments/{ref}/effects")
def effects(here: Here, ref: str, metric: str | None = None, where: Where = None) -> EffectsView:
    """Say what a metric depends on in the completed runs; without a metric, the one that the configs go by."""
    runs = select_runs(here.store, experiment=ref, where=where)
    goals = search_goals(here.store, runs)
    name = choose_metric(runs, goals) if metric is None else check_metric(metric, runs)
    lowest = name is not None and lower_is_better(name, runs, goals)
    found = {} if name is None else results(here.store, runs, name, lowest=lowest)
    return EffectsView(
        metric=name,
        lower_is_better=lowest,
        least_runs=LEAST_RUNS,
        effects=[_effect_view(effect) for effect in find_effects(runs, differing(configs(here.store, runs)), found)],
    )


@router.get("/comparison")
def comparison(
    here: Here,
    *,
    run: Annotated[list[str], Query(min_length=1, max_length=MOST_COMPARED, description="ids or names of runs")],
    every: Annotated[bool, Query(alias="all", description="fields that are the same in all runs too")] = False,
) -> ComparisonView:
    """Put the configs of runs side by side: the fields that are not the same in all of them."""
    runs = [here.store.runs.get(ref) for ref in run]
    found = configs(here.store, runs)
    return ComparisonView(
        runs=[ComparedView.model_validate(one) for one in runs],
        fields=[LineView.model_validate(line) for line in (all_lines if every else differing)(found)],
    )


@router.get("/experiments/{ref}/ways")
def ways(here: Here, ref: str) -> list[WayView]:
    """Say how the runs of an experiment train or were trained, and why, the most frequent way first."""
    runs = select_runs(here.store, experiment=ref)
    return [WayView.model_validate(way) for way in find_ways(read_events(here.store, runs), runs)]


@router.get("/experiments/{ref}/plan")
def plan(here: Here, ref: str) -> PlanView:
    """Plan the runs that are not over on this machine. Takes seconds where there may be an accelerator."""
    experiment = here.store.experiments.get(ref)
    left = [run.spec for run in here.store.runs.list(experiment_id=experiment.id) if run.state not in FINAL]
    planned = plan_sweep(SweepSpec.model_validate_json(experiment.sweep_json), left, Resources())
    groups = [GroupView.model_validate(group) for group in planned.plan.groups]
    return PlanView(left=len(left), cores=planned.cores, groups=groups)


@router.get("/experiments/{ref}/search")
def search(here: Here, ref: str) -> SearchView | None:
    """Return the decisions of an experiment's search with their reasons; null if it decides nothing."""
    found = view_search(here.store, here.store.experiments.get(ref))
    return None if found is None else SearchView.model_validate(found)


def _effect_view(effect: Effect) -> EffectView:
    return EffectView(
        field=effect.field,
        numeric=effect.numeric,
        log=effect.log,
        points=[EffectPoint(run_id=run_id, value=value, best=best) for value, best, run_id in effect.points],
        correlation=effect.correlation,
        explained=effect.explained,
    )
