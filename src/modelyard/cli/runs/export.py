"""``modelyard runs export``."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.api.export import Format, choose_format, export_metrics
from modelyard.api.targets import find_runs
from modelyard.cli.completion import complete_targets
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import print_json


def export(
    ctx: typer.Context,
    *,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs or experiments.", show_default=False, autocompletion=complete_targets
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; a folder for tensorboard.", show_default=False)
    ],
    kind: Annotated[
        Format | None, typer.Option("--format", help="csv, parquet or tensorboard; default: what the file's name says.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write the metric histories of runs to a CSV or Parquet file, or to TensorBoard's event files."""
    chosen = choose_format(output, kind)
    with open_home(ctx) as store:
        runs = find_runs(store, targets)
        points = export_metrics(store, runs, output, chosen, force=force)
    if as_json:
        print_json({"path": str(output), "format": chosen, "runs": [run.name for run in runs], "points": points})
    else:
        typer.echo(f"wrote {points:,} points of {len(runs)} run{'s' if len(runs) != 1 else ''} to {output}")
