"""Reads everything that a report says, in a number of queries that does not grow with the runs."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from modelyard._version import __version__
from modelyard.api.comparison import Line, configs, differing
from modelyard.api.report.colors import color_and_dash
from modelyard.api.report.curves import MOST_CURVES, choose_panels, read_panels
from modelyard.api.report.effects import find_effects
from modelyard.api.report.history import find_descents, find_happenings, find_ways, read_events
from modelyard.api.report.model import BestRun, Report, ReportedExperiment, ReportedRun
from modelyard.api.report.recipe import describe_best
from modelyard.api.results import (
    Result,
    check_metric,
    choose_metric,
    epochs_of,
    lower_is_better,
    ranked,
    results,
    search_goals,
)
from modelyard.api.tuned import tuned_fields
from modelyard.domain.query import Value, flatten
from modelyard.domain.run import FINAL, Experiment, Run
from modelyard.store import Store


def collect_report(
    store: Store, runs: Sequence[Run], *, experiments: Sequence[Experiment] = (), metrics: Sequence[str] = ()
) -> Report:
    """Read a report on some runs; ``experiments`` are those that were named, for one may have no runs.

    ``metrics`` are drawn, and the first of them is what runs are ranked by; without any, what the configs say. Raises
    ``NotFoundError`` for a metric that no run has.
    """
    for name in metrics:
        check_metric(name, runs)
    goals = search_goals(store, runs)
    metric = metrics[0] if metrics else choose_metric(runs, goals)
    lowest = metric is not None and lower_is_better(metric, runs, goals)
    found = {} if metric is None else results(store, runs, metric, lowest=lowest)
    ordered = ranked(runs, found, lowest=lowest)
    varied = sorted(differing(configs(store, ordered)), key=lambda line: None in line.values)  # what all have first
    belong = _experiments(store, ordered, experiments)
    events = read_events(store, ordered)
    whole = {one.id for one in belong if one.run_count == sum(run.experiment_id == one.id for run in ordered)}
    happenings, hidden = find_happenings(events, ordered, whole)
    drawn = ordered[:MOST_CURVES]
    return Report(
        title=_title(belong, ordered),
        created_at=datetime.now(UTC),
        made_with=f"Modelyard {__version__}, Python {platform.python_version()}, {platform.platform()}",
        experiments=tuple(map(_reported_experiment, belong)),
        metric=metric,
        lowest=lowest,
        runs=_reported_runs(store, ordered, found, varied),
        varied=tuple(line.name for line in varied),
        drawn=len(drawn),
        panels=read_panels(store, drawn, choose_panels(drawn, metric, metrics)),
        effects=find_effects(ordered, varied, found),
        ways=find_ways(events, ordered),
        best=_best(store, ordered, found, belong),
        happenings=happenings,
        happenings_hidden=hidden,
        descents=find_descents(store, ordered),
    )


def _experiments(store: Store, runs: Sequence[Run], named: Sequence[Experiment]) -> list[Experiment]:
    """Return the experiments of the runs and those that were named, oldest first. One query."""
    wanted = {run.experiment_id for run in runs} | {one.id for one in named}
    return [one for one in reversed(store.experiments.list()) if one.id in wanted]


def _title(experiments: Sequence[Experiment], runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return runs[0].name
    names = [one.name for one in experiments]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _reported_experiment(experiment: Experiment) -> ReportedExperiment:
    sweep = json.loads(experiment.sweep_json)
    search = sweep.get("search") or {}
    return ReportedExperiment(
        id=experiment.id,
        name=experiment.name,
        project=experiment.project,
        created_at=experiment.created_at,
        run_count=experiment.run_count,
        search=str(search.get("method", "single")),
        space={path: _dimension(given) for path, given in (search.get("space") or {}).items()},
        base=flatten(sweep.get("run") or {}),
    )


def _dimension(given: Mapping[str, object]) -> str:
    """Say what values a field of the search may have, as a sweep file does."""
    said = {name: value for name, value in given.items() if value is not None and value != {}}
    return ", ".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in said.items())


@dataclass(frozen=True)
class _Shared:
    """What the rows of all runs are made from."""

    found: Mapping[str, Result]
    epochs: Mapping[str, int | None]
    varied: Sequence[Line]


def _reported_runs(
    store: Store, runs: Sequence[Run], found: Mapping[str, Result], varied: Sequence[Line]
) -> tuple[ReportedRun, ...]:
    shared = _Shared(found, epochs_of(store, runs), varied)
    return tuple(_reported_run(index, run, shared) for index, run in enumerate(runs))


def _reported_run(index: int, run: Run, shared: _Shared) -> ReportedRun:
    result = shared.found.get(run.id)
    color, dash = color_and_dash(run)
    return ReportedRun(
        id=run.id,
        name=run.name,
        experiment=run.experiment,
        rank=None if result is None or result.best is None else index + 1,
        state=run.state.value,
        live=run.state not in FINAL,
        why=run.why,
        color=color,
        dash=dash,
        result=result,
        metrics=run.summary,
        parameters={line.name: line.values[index] for line in shared.varied},
        execution=run.how,
        seconds=_seconds(run),
        epoch=run.epoch,
        epochs=shared.epochs[run.id],
        step=run.step,
        total_steps=run.total_steps,
        samples_per_second=run.summary.get("samples_per_second"),
        spec_hash=run.spec_hash,
        fingerprints=run.fingerprints,
    )


def _seconds(run: Run) -> float | None:
    return None if run.started_at is None else ((run.ended_at or run.updated_at) - run.started_at).total_seconds()


def _best(
    store: Store, runs: Sequence[Run], found: Mapping[str, Result], experiments: Sequence[Experiment]
) -> BestRun | None:
    """Describe the run in the first place; one run alone also without a result."""
    first = runs[0] if len(runs) == 1 else None
    first = next((run for run in runs if run.id in found and found[run.id].best is not None), first)
    if first is None:
        return None
    base: Mapping[str, Value] = next(
        (_reported_experiment(one).base for one in experiments if one.id == first.experiment_id), {}
    )
    return describe_best(store, first, base=base, tuned=tuned_fields(store, [first]).get(first.id, {}))
