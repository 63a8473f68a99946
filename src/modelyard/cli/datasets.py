"""``modelyard datasets``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from modelyard.api.edits import apply_edits, parse_edits
from modelyard.api.inspection import describe_data, inspect_data
from modelyard.api.sweepfile import folder_of, read_sweep, resolve_edits
from modelyard.cli.context import Json
from modelyard.cli.output import console, number, print_json, table, text
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import DataError
from modelyard.domain.validation import validate

app = typer.Typer(help="Look at data before training on it.", no_args_is_help=True)

_SWEEP_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_MOST_NAMES = 10


@app.callback()
def datasets() -> None:
    """Look at data before training on it."""


@app.command("inspect")
def inspect(
    *,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Folder, Parquet file, sweep file, or 'digits'.", show_default=False)
    ],
    source: Annotated[
        str | None,
        typer.Option("--source", help="image-folder, parquet, huggingface, idx or digits; default: found by looking."),
    ] = None,
    edits: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field, such as data.val_fraction=0.3."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Decode every image and report counts, sizes, duplicates across splits and corrupt files.

    Ends with 2 if something would stop training.
    """
    spec = _spec(path, source)
    if edits:
        folder = folder_of(path) if _is_sweep(path, source) else Path.cwd()
        spec = apply_edits(spec, resolve_edits(parse_edits(edits), folder))[0]
    with Progress(
        "reading images",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=as_json or not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=None)
        data = spec.data.model_dump(mode="json")
        report = inspect_data(data, progress=lambda done, total: progress.update(task, completed=done, total=total))
    if as_json:
        print_json(report)
        if report["errors"]:
            raise typer.Exit(DataError.exit_code)
        return
    _print(report)
    if report["errors"]:
        raise DataError("\n".join(report["errors"]))


def _spec(path: str, source: str | None) -> RunSpec:
    if _is_sweep(path, source):
        return read_sweep(path).run
    return validate(RunSpec, {"data": describe_data(path, source)}, source="--source")


def _is_sweep(path: str, source: str | None) -> bool:
    return source is None and Path(path).suffix.lower() in _SWEEP_SUFFIXES and not Path(path).is_dir()


def _print(report: dict[str, Any]) -> None:
    out = console()
    out.print(
        f"[bold]{text(report['path'] or report['source'])}[/]  {report['source']}, {len(report['classes'])} classes"
    )
    grid = table("class", *report["splits"], right=tuple(report["splits"]))
    for name in report["classes"]:
        grid.add_row(text(name), *(str(split["per_class"].get(name, 0)) for split in report["splits"].values()))
    grid.add_row("[bold]all[/]", *(f"[bold]{split['count']}[/]" for split in report["splits"].values()))
    out.print(grid)
    for line in _facts(report):
        out.print(text(line))
    for word, style in (("warnings", "yellow"), ("notes", "dim")):
        for line in report[word]:
            out.print(f"[{style}]{text(line)}[/]")


def _facts(report: dict[str, Any]) -> list[str]:
    lines = []
    drawn = [name for name, split in report["splits"].items() if split["drawn"]]
    if drawn:
        lines.append(f"drawn from the training data: {', '.join(drawn)}")
    for side in ("width", "height"):
        if report[side]:
            spread = report[side]
            lines.append(f"{side}: {spread['min']:g} to {spread['max']:g} pixels, median {spread['median']:g}")
    lines.append("modes: " + ", ".join(f"{mode} {count}" for mode, count in report["modes"].items()))
    copies = report["duplicates"]
    lines.append(
        f"duplicates: {copies['across_splits']} across splits, {copies['within_splits']} within, "
        f"{copies['contradictory']} with different labels"
    )
    lines += [f"  {' = '.join(group['images'])}" for group in copies["groups"][:_MOST_NAMES]]
    lines.append(f"corrupt: {len(report['corrupt'])}")
    lines += [f"  {image['name']}: {image['reason']}" for image in report["corrupt"][:_MOST_NAMES]]
    if report["imbalance"] is not None:
        lines.append(f"largest class of train / smallest: {number(report['imbalance'])}")
    lines.append(f"fingerprint: {report['fingerprint'] or 'unavailable'}")
    return lines
