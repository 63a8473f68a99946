"""``modelyard report``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from modelyard.api.operations import settle
from modelyard.api.report import Report, check_writable, collect_report, report_html, write_report
from modelyard.api.targets import Target, find_target
from modelyard.cli.completion import complete_targets
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import print_json, size
from modelyard.store import Store

_DEFAULT = Path("report.html")


def report(
    ctx: typer.Context,
    *,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Experiments or runs.", show_default=False, autocompletion=complete_targets
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write; default: report.html.", show_default=False),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="Draw only this metric; the first one given ranks the runs."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is no report.")] = False,
    as_json: Json = False,
) -> None:
    """Write one HTML page about experiments or runs: results, learning curves, configs, what happened.

    The file needs no network. An older report is replaced, anything else only with --force. With --json the same data
    are printed, and a file is written only if --output names one.
    """
    path = None if as_json and output is None else output or _DEFAULT
    if path is not None:
        check_writable(path, force=force)
    with open_home(ctx) as store:
        settle(store)
        found = collect_targets(store, [find_target(store, ref) for ref in targets], metrics=metric or ())
    if path is not None:
        write_report(report_html(found), path, force=force)
    if as_json:
        print_json(found)
    elif path is not None:
        say_written(found, path)


def collect_targets(store: Store, targets: Sequence[Target], *, metrics: Sequence[str]) -> Report:
    """Read the report on everything that was named, each run once."""
    runs = {run.id: run for target in targets for run in target.runs}
    experiments = [target.experiment for target in targets if target.experiment is not None]
    return collect_report(store, list(runs.values()), experiments=experiments, metrics=metrics)


def say_written(found: Report, path: Path) -> None:
    """Say in one line what was written."""
    amount = len(found.runs)
    runs = f"{amount} run{'' if amount == 1 else 's'}"
    typer.echo(f"wrote a report on {runs} to {path} ({size(path.stat().st_size)}); open it in a browser")
