"""What every command shares: the home it works on, and the options that many commands have."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.store import Store, open_store

Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output; times are UTC.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until the engine has acknowledged.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0, help="Longest wait for the engine's acknowledgement, in seconds.")
]


def open_home(ctx: typer.Context, *, spend_reserve: bool = False) -> Store:
    """Open the home that ``--home`` or ``MODELYARD_HOME`` names, by default ``~/.modelyard``.

    ``spend_reserve`` lets commands that free space work on a full disk.
    """
    return open_store(home_option(ctx), database_url=database_option(ctx), spend_reserve=spend_reserve)


def home_option(ctx: typer.Context) -> Path | None:
    """Return what ``--home`` says, or None."""
    home: Path | None = ctx.find_root().params.get("home")
    return home


def database_option(ctx: typer.Context) -> str | None:
    """Return what ``--database-url`` says, or None."""
    url: str | None = ctx.find_root().params.get("database_url")
    return url
