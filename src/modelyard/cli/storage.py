"""``modelyard storage`` and ``modelyard gc``."""

from typing import Annotated

import typer

from modelyard.api.who import actor
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import console, plain, print_json, size, table, text


def storage(ctx: typer.Context, *, as_json: Json = False) -> None:
    """Say what takes how much space in the home."""
    with open_home(ctx, spend_reserve=True) as store:
        usage = store.gc.usage()
        names = {experiment.id: experiment.name for experiment in store.experiments.list()}
        home = store.home.path
    by_name = {names.get(key, key): count for key, count in usage.by_experiment.items()}
    if as_json:
        print_json({"home": home} | plain(usage) | {"by_experiment": by_name})
        return
    grid = table(f"in {text(home)}", "size", right=("size",))
    for name, count in (
        ("checkpoints", usage.checkpoints),
        ("artifacts", usage.artifacts),
        ("unreferenced (modelyard gc frees it)", usage.unreferenced),
        ("written and not recorded yet", usage.pinned),
        ("features of frozen backbones", usage.features),
        ("database", usage.database),
        ("  metrics in it", usage.metrics),
        ("  logs in it", usage.logs),
        ("logs of engine processes", usage.processes),
        ("reserve for a full disk", usage.reserve),
        ("other", usage.other),
        ("total", usage.total),
        (f"free, of {size(usage.capacity)}", usage.free),
    ):
        grid.add_row(name, size(count))
    console().print(grid)
    if by_name:
        grid = table("experiment", "size", right=("size",))
        for name, count in sorted(by_name.items(), key=lambda item: -item[1]):
            grid.add_row(text(name), size(count))
        console().print(grid)


def collect_garbage(
    ctx: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: Json = False,
) -> None:
    """Delete stored bytes that nothing refers to; safe while runs train, and on a full disk.

    Logs of engine processes go a month after their last line.
    """
    with open_home(ctx, spend_reserve=True) as store:
        report = store.gc.collect(dry_run=dry_run, actor=actor())
    if as_json:
        print_json(plain(report) | {"dry_run": dry_run})
        return
    verb = "would delete" if dry_run else "deleted"
    typer.echo(
        f"{verb} {report.blobs} blobs, {report.temp_files} temporary files and {report.old_logs} old logs of processes "
        f"({size(report.freed_bytes)}); {report.kept} blobs are in use"
    )
