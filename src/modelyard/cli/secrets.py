"""``modelyard secrets``."""

import sys
from typing import Annotated

import typer

from modelyard.api.who import actor
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import console, local_time, print_json, table, text

app = typer.Typer(help="Keep what runs need and nobody may read, such as HF_TOKEN.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The variable of the environment that it becomes.", show_default=False)
]


@app.command("list")
def list_secrets(ctx: typer.Context, *, as_json: Json = False) -> None:
    """List secrets by name; their values are never shown."""
    with open_home(ctx) as store:
        found = store.vault.list()
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no secrets; set one: modelyard secrets set HF_TOKEN")
        return
    grid = table("name", "changed", "by")
    for one in found:
        grid.add_row(text(one.name), local_time(one.changed_at), text(one.changed_by))
    console().print(grid)


@app.command("set")
def set_secret(
    ctx: typer.Context,
    *,
    name: Name,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input, not the terminal.")] = False,
    as_json: Json = False,
) -> None:
    """Set a secret: engines find it in their environment from their next start."""
    value = sys.stdin.read().rstrip("\r\n") if stdin else typer.prompt("value", hide_input=True)
    with open_home(ctx) as store:
        store.vault.set(name, value, actor=actor())
    if as_json:
        print_json({"set": name})
    else:
        typer.echo(f"set {name}")


@app.command("delete")
def delete(ctx: typer.Context, *, name: Name, as_json: Json = False) -> None:
    """Forget a secret."""
    with open_home(ctx) as store:
        store.vault.delete(name, actor=actor())
    if as_json:
        print_json({"deleted": name})
    else:
        typer.echo(f"deleted {name}")
