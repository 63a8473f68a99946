"""``modelyard runs list``."""

from collections.abc import Sequence
from typing import Annotated

import typer

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
from modelyard.domain.run import Run

_METRIC_COLUMNS = 4
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
    with open_home(ctx) as store:
        settle(store)
        runs = select_runs(store, experiment=experiment, project=project, where=where, sort=sort, limit=limit)
    names = _names(columns)
    if as_json:
        values = field_values(runs, names)
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
        _print_columns(runs, names)
    else:
        print_runs(runs)


def _names(columns: str | None) -> list[str]:
    if columns is None:
        return []
    names = [name.strip() for name in columns.split(",") if name.strip()]
    if not names:
        raise UserError("--columns needs at least one field, such as val_accuracy,optimizer.learning_rate")
    return names


def _print_columns(runs: Sequence[Run], names: Sequence[str]) -> None:
    names = [name for name in names if name not in _ALWAYS]
    grid = table("run", "state", *map(text, names))
    for run, row in zip(runs, field_values(runs, names), strict=True):
        cells = (number(v) if isinstance(v, float) else config_value(v) for v in row)
        grid.add_row(text(run.name), state_text(run), *map(text, cells))
    console().print(grid)


def print_runs(runs: Sequence[Run]) -> None:
    """Print runs with their progress and what they reached."""
    metrics = _shown_metrics(runs)
    grid = table(
        "run", "state", "epoch", "done", *map(text, metrics), "updated", "why", right=("epoch", "done", *metrics)
    )
    for run in runs:
        done = f"{100 * run.step / run.total_steps:.0f}%" if run.total_steps else "-"
        values = (number(run.summary.get(name)) for name in metrics)
        why = " ".join(run.reason.message.split())
        grid.add_row(
            text(run.name), state_text(run), str(run.epoch), done, *values, local_time(run.updated_at), text(why)
        )
    console().print(grid)


def _shown_metrics(runs: Sequence[Run]) -> list[str]:
    """Choose the loss and the validation metrics that most of the list has."""
    counts: dict[str, int] = {}
    for run in runs:
        for name in run.summary:
            if name.startswith("val_") or name == "train_loss":
                counts[name] = counts.get(name, 0) + 1
    frequent = sorted(counts, key=lambda name: (-counts[name], name != "train_loss", name != "val_loss", name))
    return frequent[:_METRIC_COLUMNS]
