"""``modelyard runs list``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.cells import cell_len

from modelyard.api.operations import settle
from modelyard.api.selection import field_values, select_runs
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import (
    config_value,
    console,
    local_time,
    number,
    print_json,
    run_json,
    state_text,
    table,
    text,
)
from modelyard.domain.errors import UserError
from modelyard.domain.query import Value
from modelyard.domain.run import Run

_METRIC_COLUMNS = 4
_LEAST_COLUMNS = 3
_LEAST_WHY = 20
"""Narrower than that, the reason is left out; `runs show` has it."""
_GAP = 2
"""Blanks between two columns."""
_ALWAYS = frozenset({"name", "state"})


def list_runs(
    ctx: typer.Context,
    *,
    where: Annotated[
        str | None,
        typer.Option("--filter", "-f", metavar="FILTER", help="Such as: 'val_accuracy > 0.9 and state = completed'."),
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", "-s", metavar="FIELD", help="Sort by a field; -FIELD: highest first.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", "-c", metavar="FIELD,...", help="Fields to show after name and state.")
    ] = None,
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="Only runs of this experiment.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Only runs of this project.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many runs.")] = None,
    as_json: Json = False,
) -> None:
    """List runs, oldest first.

    Fields are those of `runs show`: name, state, epoch, metrics by name, and the config by dotted path.
    """
    names = _names(columns)
    with open_home(ctx) as store:
        settle(store)
        runs = select_runs(store, experiment=experiment, project=project, where=where, sort=sort, limit=limit)
        values = field_values(store, runs, names)
    if as_json:
        print_json(
            [
                run_json(run) | ({"fields": dict(zip(names, row, strict=True))} if names else {})
                for run, row in zip(runs, values, strict=True)
            ]
        )
    elif not runs:
        typer.echo(
            "no runs" + ("" if where is None and experiment is None else " match") + "; start some: modelyard init"
        )
    elif names:
        _print_columns(runs, names, values)
    else:
        print_runs(runs)


def _names(columns: str | None) -> list[str]:
    if columns is None:
        return []
    names = [name.strip() for name in columns.split(",") if name.strip()]
    if not names:
        raise UserError("--columns needs at least one field, such as val_accuracy,optimizer.learning_rate")
    return names


def _print_columns(runs: Sequence[Run], names: Sequence[str], values: Sequence[Sequence[Value]]) -> None:
    chosen = [index for index, name in enumerate(names) if name not in _ALWAYS]
    grid = table("run", "state", *(text(names[index]) for index in chosen))
    for run, row in zip(runs, values, strict=True):
        cells = [number(v) if isinstance(v, float) else config_value(v) for v in row]
        grid.add_row(text(run.name), state_text(run), *(text(cells[index]) for index in chosen))
    console().print(grid)


def print_runs(runs: Sequence[Run]) -> None:
    """Print runs with their progress and what they reached: one line each, and the columns there is room for."""
    out = console()
    metrics = _shown_metrics(runs)
    columns = [
        _Column("run", [run.name for run in runs]),
        _Column("state", [run.state.value for run in runs]),
        _Column("epoch", [str(run.epoch) for run in runs], right=True),
        _Column("done", [_done(run) for run in runs], right=True),
        *(_Column(name, [number(run.summary.get(name)) for run in runs], right=True) for name in metrics),
        _Column("updated", [local_time(run.updated_at) for run in runs]),
    ]
    while len(columns) > _LEAST_COLUMNS and _width(columns) + _LEAST_WHY > out.width:
        # The time goes first, then the metrics from the last one on, then what else there is.
        columns.pop()
    left = out.width - _width(columns)
    grid = table(
        *(text(column.header) for column in columns), right=[column.header for column in columns if column.right]
    )
    for column in grid.columns:
        column.no_wrap = True
    if left >= _LEAST_WHY:
        grid.add_column("why", no_wrap=True, overflow="ellipsis", max_width=left)
    for index, run in enumerate(runs):
        cells = [state_text(run) if column.header == "state" else text(column.cells[index]) for column in columns]
        grid.add_row(*cells, *([text(run.why)] if left >= _LEAST_WHY else []))
    out.print(grid)


@dataclass(frozen=True)
class _Column:
    header: str
    cells: Sequence[str]
    right: bool = False


def _width(columns: Sequence[_Column]) -> int:
    """Return the width of a table with these columns, with the gap before one more."""
    return sum(max(map(cell_len, [column.header, *column.cells])) + _GAP for column in columns)


def _done(run: Run) -> str:
    return f"{100 * run.step / run.total_steps:.0f}%" if run.total_steps else "-"


def _shown_metrics(runs: Sequence[Run]) -> list[str]:
    """Choose the loss and the validation metrics that most of the list has."""
    counts: dict[str, int] = {}
    for run in runs:
        for name in run.summary:
            if name.startswith("val_") or name == "train_loss":
                counts[name] = counts.get(name, 0) + 1
    frequent = sorted(counts, key=lambda name: (-counts[name], name != "train_loss", name != "val_loss", name))
    return frequent[:_METRIC_COLUMNS]
