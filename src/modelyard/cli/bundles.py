"""``modelyard export`` and ``modelyard import``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from modelyard.api.bundles import Exported, Imported, Kept, export_bundle, import_bundle
from modelyard.api.bundles.progress import Progress as Say
from modelyard.api.bundles.progress import no_progress
from modelyard.api.operations import settle
from modelyard.api.targets import find_target
from modelyard.api.who import actor
from modelyard.cli.completion import complete_targets
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import plain, print_json, size


def export(
    ctx: typer.Context,
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run or an experiment.", show_default=False, autocompletion=complete_targets
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write; default: NAME.zip.", show_default=False),
    ] = None,
    checkpoints: Annotated[Kept, typer.Option("--checkpoints", help="Which checkpoints go along.")] = Kept.ALL,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write a run or an experiment with all its records and checkpoints to a file, for another home to import.

    Runs in training go on; the file has what they had saved. For metrics as a table: modelyard runs export.
    """
    with open_home(ctx) as store:
        settle(store)
        found = find_target(store, target)
        name = found.runs[0].name if found.experiment is None else found.experiment.name
        path = output or Path(f"{name}.zip")
        with _progress(f"exporting {name}", quiet=as_json) as say:
            done = export_bundle(store, found, path, kept=checkpoints, actor=actor(), force=force, progress=say)
    if as_json:
        print_json({"path": path} | plain(done))
    else:
        _say_exported(done, path)


def import_(
    ctx: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `modelyard export` wrote.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Take in what another home exported. Everything is checked first; importing it again changes nothing.

    Runs that were not over arrive as paused. Code of their own runs once you resume them: take bundles only from people
    you trust.
    """
    with open_home(ctx) as store, _progress(f"importing {file.name}", quiet=as_json) as say:
        done = import_bundle(store, file, actor=actor(), progress=say)
    if as_json:
        print_json(done)
    else:
        _say_imported(done)


@contextmanager
def _progress(label: str, *, quiet: bool) -> Iterator[Say]:
    """Yield what shows the progress of a large one, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield no_progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say_exported(done: Exported, path: Path) -> None:
    typer.echo(f"wrote {_runs(len(done.runs))} of {done.experiment} to {path} ({size(done.bytes)})")
    if done.unfinished:
        typer.echo(f"not over yet, so the file has what they had saved: {', '.join(done.unfinished)}")


def _say_imported(done: Imported) -> None:
    if not done.runs:
        typer.echo(
            f"{done.experiment} is here already, with {_runs(len(done.present))} of this file: nothing was changed"
        )
        return
    renamed = "" if done.experiment == done.original_name else f" ({done.original_name} is taken here)"
    typer.echo(f"imported {_runs(len(done.runs))} as {done.experiment}{renamed}")
    if done.present:
        typer.echo(f"here already, and not changed: {', '.join(done.present)}")
    if done.search_ended:
        typer.echo("its search was not over: it does not go on here, and runs go on where you resume them")
    if done.paused:
        typer.echo(f"paused; to go on with them: modelyard resume {' '.join(done.paused)}")


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
