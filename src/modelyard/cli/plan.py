"""``modelyard plan``."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import typer

from modelyard.api.datacheck import check_runs
from modelyard.api.planning import plan_sweep
from modelyard.api.searchview import describe_search
from modelyard.api.sweepfile import expand_at
from modelyard.api.training import Resources
from modelyard.cli.context import Json
from modelyard.cli.foreground import ExecutionOption, ProcessesOption, SlotsOption
from modelyard.cli.output import config_value, console, plain, print_json, table, text
from modelyard.cli.train import SetOption, SweepArgument, load_sweep
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import MissingExtraError
from modelyard.domain.plan import Group
from modelyard.domain.query import flatten

_MOST_ROWS = 50


def plan(
    *,
    sweep: SweepArgument,
    edits: SetOption = None,
    execution: ExecutionOption = None,
    processes: ProcessesOption = None,
    slots: SlotsOption = None,
    as_json: Json = False,
) -> None:
    """Say which runs a sweep makes and how they would be trained on this machine, and why; changes nothing."""
    spec = load_sweep(sweep, edits=edits)
    resources = Resources(execution=execution, processes=processes, slots=slots)
    specs = expand_at(spec, str(sweep))
    with suppress(MissingExtraError):  # a plan needs no library that reads data
        check_runs(spec.name, specs)
    planned = plan_sweep(spec, specs, resources)
    varied = _varied(planned.specs)
    if as_json:
        print_json(
            {
                "name": spec.name,
                "search": describe_search(spec, len(specs)) if spec.search.decides else None,
                "cores": planned.cores,
                "devices": planned.devices,
                "groups": [asdict(group) for group in planned.plan.groups],
                "runs": [
                    {path: plain(values[index]) for path, values in varied.items()}
                    for index in range(len(planned.specs))
                ],
            }
        )
        return
    typer.echo(f"{spec.name}: {len(planned.specs)} run{'s' if len(planned.specs) != 1 else ''}")
    if spec.search.decides:
        typer.echo(f"search: {describe_search(spec, len(specs))}")
    for reason in dict.fromkeys(group.reason for group in planned.plan.groups):
        typer.echo(f"plan: {reason}")
    grid = table("process", "device", "execution", "slots", "threads", right=("slots", "threads"))
    for number, group in enumerate(planned.plan.groups, start=1):
        grid.add_row(str(number), group.device, _execution(group), str(group.slots), str(group.threads))
    console().print(grid)
    if varied:
        _print_runs(spec.name, len(planned.specs), varied)


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
