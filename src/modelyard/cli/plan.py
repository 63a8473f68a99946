"""``modelyard plan``."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import psutil
import typer

from modelyard.api.datacheck import Samples, check_runs, check_search
from modelyard.api.estimating import SweepEstimate, Wanted, estimate_sweep
from modelyard.api.planning import SweepPlan, plan_sweep
from modelyard.api.searchview import describe_search
from modelyard.api.sharing import shared_by_run, shared_in_sweep
from modelyard.api.snapshot import texts_of
from modelyard.api.sweepfile import expand_at
from modelyard.api.training import Resources
from modelyard.cli.context import Json, home_option
from modelyard.cli.estimate import print_estimate
from modelyard.cli.foreground import ExecutionOption, ProcessesOption, SlotsOption
from modelyard.cli.output import config_value, console, plain, print_json, table, text
from modelyard.cli.train import SetOption, SweepArgument, load_sweep
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import MissingExtraError
from modelyard.domain.plan import Group
from modelyard.domain.query import flatten
from modelyard.store import home_folder
from modelyard.store.measurements import Measurements

_MOST_ROWS = 50


def plan(
    ctx: typer.Context,
    *,
    sweep: SweepArgument,
    edits: SetOption = None,
    execution: ExecutionOption = None,
    processes: ProcessesOption = None,
    slots: SlotsOption = None,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Measure nothing: no estimate, only runs and processes.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what was measured before.")] = False,
    as_json: Json = False,
) -> None:
    """Say which runs a sweep makes, how they would be trained on this machine, how long that takes, and why.

    Takes some steps of every way to train, in processes of their own; nothing is trained. What was measured is kept
    for the next plan and the next training.
    """
    spec = load_sweep(sweep, edits=edits)
    resources = Resources(execution=execution, processes=processes, slots=slots)
    specs = expand_at(spec, str(sweep))
    samples: list[Samples | None] | None = None
    with suppress(MissingExtraError):  # a plan needs no library that reads data; an estimate does
        samples = check_runs(spec.name, specs)
        check_search(spec, samples)
    until_checked = _age_of_this_command()  # training does the same first, and its processes start beside that
    planned = plan_sweep(spec, specs, resources)
    estimate = None
    if not no_probe and samples is not None:
        wanted = Wanted(
            plan=planned.plan,
            device=planned.device,
            execution=execution,
            fresh=fresh,
            shared=() if spec.search.decides else shared_by_run(planned.specs, samples),
            code=texts_of(planned.specs),
            start_seconds=until_checked,
        )
        measurements = Measurements(home_folder(home_option(ctx)))
        estimate = estimate_sweep(planned.specs, samples, wanted, measurements, say=_say)
        costs = [seconds for seconds in estimate.run_seconds if seconds is not None]
        if len(costs) == len(specs):
            planned = plan_sweep(spec, specs, resources, costs=costs)
    sharing = None
    if samples is not None and not spec.search.decides:
        sharing = shared_in_sweep(planned.specs, samples)
    varied = _varied(planned.specs)
    if as_json:
        print_json(_document(planned, varied, estimate) | {"sharing": plain(sharing)})
        return
    _print_processes(planned)
    if sharing is not None and sharing.shared:
        typer.echo(
            f"shared: {sharing.shared:,} of all {sharing.steps:,} steps are trained by one run for others that begin "
            "alike, unless it is paused, tuned or ends before they part"
        )
    if estimate is not None:
        print_estimate(estimate, name=spec.name, cores=planned.cores)
        if sharing is not None and sharing.shared:
            typer.echo("  note: that counts steps that are shared once")
        if spec.search.decides:
            typer.echo("  note: that is these runs, each to its end; the search ends some early, or adds others")
    elif not no_probe:
        typer.echo("no estimate: torch is not installed; pip install 'modelyard[train]'")
    if varied:
        _print_runs(spec.name, len(planned.specs), varied)


def _say(what: str) -> None:
    typer.echo(what, err=True)


def _document(planned: SweepPlan, varied: dict[str, list[Any]], estimate: SweepEstimate | None) -> dict[str, Any]:
    return {
        "name": planned.sweep.name,
        "search": _search(planned),
        "cores": planned.cores,
        "devices": [device.name for device in planned.devices],
        "groups": [asdict(group) for group in planned.plan.groups],
        "estimate": None if estimate is None else plain(estimate),
        "runs": [
            {path: plain(values[index]) for path, values in varied.items()} for index in range(len(planned.specs))
        ],
    }


def _search(planned: SweepPlan) -> str | None:
    decides = planned.sweep.search.decides
    return describe_search(planned.sweep, len(planned.specs)) if decides else None


def _age_of_this_command() -> float:
    """Return the seconds since this process began, imports included."""
    began: float = psutil.Process().create_time()
    return max(0.0, time.time() - began)


def _print_processes(planned: SweepPlan) -> None:
    count = len(planned.specs)
    typer.echo(f"{planned.sweep.name}: {count} run{'s' if count != 1 else ''}")
    search = _search(planned)
    if search is not None:
        typer.echo(f"search: {search}")
    for reason in dict.fromkeys(group.reason for group in planned.plan.groups):
        typer.echo(f"plan: {reason}")
    grid = table("process", "device", "execution", "slots", "threads", right=("slots", "threads"))
    for number, group in enumerate(planned.plan.groups, start=1):
        grid.add_row(str(number), group.device, _execution(group), str(group.slots), str(group.threads))
    console().print(grid)


def _execution(group: Group) -> str:
    return "measured" if group.execution is None else group.execution.value


def _print_runs(name: str, count: int, varied: dict[str, list[Any]]) -> None:
    grid = table("run", *map(text, varied))
    for index in range(min(count, _MOST_ROWS)):
        grid.add_row(text(f"{name}-{index + 1}"), *(text(config_value(values[index])) for values in varied.values()))
    console().print(grid)
    if count > _MOST_ROWS:
        typer.echo(f"... and {count - _MOST_ROWS} more")


def _varied(specs: Sequence[RunSpec]) -> dict[str, list[Any]]:
    """Return the fields that are not the same in all runs, with their value in each."""
    configs = [flatten(json.loads(spec.model_dump_json())) for spec in specs]
    paths = dict.fromkeys(path for config in configs for path in config)
    columns = {path: [config.get(path) for config in configs] for path in paths}
    return {path: values for path, values in columns.items() if any(value != values[0] for value in values)}
