"""``modelyard tokens``."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from modelyard.api.who import actor
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import console, local_time, print_json, table, text
from modelyard.domain.access import Permission

app = typer.Typer(help="Make and revoke keys with which programs ask a server.", no_args_is_help=True)
DEFAULT_DAYS = 90


@app.command("list")
def list_tokens(ctx: typer.Context, *, as_json: Json = False) -> None:
    """List the tokens of all users, and when they were used last."""
    with open_home(ctx) as store:
        found = store.credentials.tokens()
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no tokens; make one: modelyard tokens create USER NAME")
        return
    grid = table("id", "user", "name", "scopes", "expires", "last used")
    for one in found:
        expires = "never" if one.expires_at is None else local_time(one.expires_at)
        used = "never" if one.last_used_at is None else local_time(one.last_used_at)
        grid.add_row(one.id, text(one.user), text(one.name), " ".join(sorted(one.scopes)), expires, used)
    console().print(grid)


@app.command("create")
def create(
    ctx: typer.Context,
    *,
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose token it is.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.", show_default=False)],
    scopes: Annotated[
        list[Permission] | None,
        typer.Option("--scope", help="What it may be used for; may be repeated; by default to read."),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=0, max=3650, help="Days for which it is valid; 0 for ever.")
    ] = DEFAULT_DAYS,
    as_json: Json = False,
) -> None:
    """Make a token, and show it this once; it can never do more than its user."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with open_home(ctx) as store:
        made, secret = store.credentials.create_token(
            user, name, scopes or [Permission.READ], expires_at=expires_at, actor=actor()
        )
    if as_json:
        print_json({"token": made, "secret": secret})
    else:
        typer.echo(secret)
        typer.echo("this is shown once; send it as: Authorization: Bearer TOKEN", err=True)


@app.command("revoke")
def revoke(
    ctx: typer.Context,
    *,
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id; see: modelyard tokens list.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Revoke a token: it is of no use from now on."""
    with open_home(ctx) as store:
        store.credentials.revoke_token(token, actor=actor())
    if as_json:
        print_json({"revoked": token})
    else:
        typer.echo(f"revoked {token}")
