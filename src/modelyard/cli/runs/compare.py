"""``modelyard runs compare``."""

from typing import Annotated, Any

import typer

from modelyard.api.comparison import Line
from modelyard.api.comparison import compare as compare_runs
from modelyard.api.targets import find_runs
from modelyard.cli.completion import complete_targets
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import config_value, console, number, plain, print_json, state_text, table, text
from modelyard.domain.errors import UserError


def compare(
    ctx: typer.Context,
    *,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs or experiments.", show_default=False, autocompletion=complete_targets
        ),
    ],
    as_json: Json = False,
) -> None:
    """Put runs side by side: the config fields that differ, and the last value of every metric."""
    with open_home(ctx) as store:
        runs = find_runs(store, targets)
        if len(runs) < 2:
            raise UserError("name at least two runs to compare, or an experiment that has them")
        comparison = compare_runs(store, runs)
    if as_json:
        print_json(
            {
                "runs": [{"id": run.id, "name": run.name, "state": run.state.value} for run in runs],
                "config": {line.name: plain(line.values) for line in comparison.config},
                "metrics": {line.name: plain(line.values) for line in comparison.metrics},
            }
        )
        return
    grid = table("", *(text(run.name) for run in runs))
    grid.add_row("state", *(state_text(run) for run in runs))
    for line in comparison.config:
        grid.add_row(text(line.name), *(text(config_value(value)) for value in line.values))
    if not comparison.config:
        grid.add_row("[dim]configs are equal[/]")
    grid.add_section()
    for line in comparison.metrics:
        grid.add_row(text(line.name), *_values(line))
    console().print(grid)


def _values(line: Line) -> list[Any]:
    cells = [number(value) if isinstance(value, float) else config_value(value) for value in line.values]
    return [f"[bold green]{cell}*[/]" if index == line.best else cell for index, cell in enumerate(cells)]
