"""``modelyard checkpoints``."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.api.checkpoints import export_checkpoint, find_checkpoint
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import console, local_time, number, plain, print_json, size, table, text
from modelyard.cli.runs.show import RunArgument
from modelyard.domain.checkpoint import Checkpoint
from modelyard.store import Store

app = typer.Typer(help="List, show and export checkpoints.", no_args_is_help=True)

Reference = Annotated[
    str, typer.Argument(metavar="CHECKPOINT", help="Id or the start of one; or RUN:last, RUN:best, RUN:STEP.")
]


@app.command("list")
def list_checkpoints(ctx: typer.Context, *, run: RunArgument, as_json: Json = False) -> None:
    """List the checkpoints of a run, newest first."""
    with open_home(ctx) as store:
        found = store.checkpoints.list(store.runs.get(run).id)
    if as_json:
        print_json([_json(checkpoint) for checkpoint in found])
        return
    if not found:
        typer.echo("no checkpoints yet")
        return
    grid = table("checkpoint", "step", "epoch", "size", "tags", "metrics", "saved", right=("step", "epoch", "size"))
    for checkpoint in found:
        metrics = ", ".join(f"{name} {number(value)}" for name, value in checkpoint.metrics.items())
        grid.add_row(
            checkpoint.id,
            str(checkpoint.step),
            str(checkpoint.epoch),
            size(checkpoint.size),
            _tags(checkpoint),
            text(metrics),
            local_time(checkpoint.created_at),
        )
    console().print(grid)


@app.command("show")
def show(ctx: typer.Context, *, checkpoint: Reference, as_json: Json = False) -> None:
    """Show a checkpoint: where it comes from, its metrics and its files."""
    with open_home(ctx) as store:
        found = resolve(store, checkpoint)
    if as_json:
        print_json(_json(found))
        return
    out = console()
    out.print(f"[bold]{found.id}[/]  {_tags(found)}")
    out.print(f"run {found.run_id}, attempt {found.attempt}, step {found.step}, epoch {found.epoch}")
    state = "training can go on from it" if found.resumable else "weights only: training cannot go on from it"
    out.print(f"saved {local_time(found.created_at)}; {state}")
    grid = table("file", "size", "digest", right=("size",))
    for name, blob in found.files.items():
        grid.add_row(text(name), size(blob.size), blob.digest)
    out.print(grid)
    for name, value in found.metrics.items():
        out.print(f"{text(name)} {number(value)}")


@app.command("export")
def export(
    ctx: typer.Context,
    *,
    checkpoint: Reference,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to create.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Copy a checkpoint's files (safetensors and JSON) into a new folder, checked against their digests."""
    with open_home(ctx) as store:
        found = resolve(store, checkpoint)
        files = export_checkpoint(store, found, output)
    if as_json:
        print_json({"checkpoint": found.id, "files": files})
    else:
        typer.echo(f"wrote {len(files)} files ({size(found.size)}) to {output}")


def resolve(store: Store, ref: str) -> Checkpoint:
    """Find ``RUN:last``, ``RUN:best``, ``RUN:STEP``, or a checkpoint by its id."""
    run, colon, which = ref.rpartition(":")
    return find_checkpoint(store, store.runs.get(run).id, which) if colon else store.checkpoints.get(ref)


def _json(checkpoint: Checkpoint) -> dict[str, object]:
    document: dict[str, object] = plain(checkpoint)
    return document | {"size": checkpoint.size}


def _tags(checkpoint: Checkpoint) -> str:
    words = [*sorted(checkpoint.tags), *(["[red]corrupt[/]"] if checkpoint.corrupt else [])]
    return ", ".join(words)
