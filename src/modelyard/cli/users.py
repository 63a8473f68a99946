"""``modelyard users``."""

import sys
from typing import Annotated

import typer

from modelyard.api.who import actor
from modelyard.cli.context import Json, Yes, open_home
from modelyard.cli.output import console, local_time, print_json, table, text
from modelyard.domain.access import Role, User
from modelyard.domain.errors import UserError

app = typer.Typer(help="Say who may log in to a server, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.", show_default=False)]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, not the terminal.")
]


@app.command("list")
def list_users(ctx: typer.Context, *, as_json: Json = False) -> None:
    """List users."""
    with open_home(ctx) as store:
        found = store.users.list()
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no users; make one: modelyard users add NAME --role admin")
        return
    grid = table("name", "role", "created")
    for user in found:
        grid.add_row(text(user.name), user.role.value, local_time(user.created_at))
    console().print(grid)


@app.command("add")
def add(
    ctx: typer.Context,
    *,
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="What the user may do.")] = Role.EDITOR,
    password_stdin: FromStdin = False,
    as_json: Json = False,
) -> None:
    """Add a user: a viewer may look, an editor steers runs, an admin may do everything."""
    password = _read_password(from_stdin=password_stdin)
    with open_home(ctx) as store:
        made = store.users.create(name, password, role, actor=actor())
    _tell(made, as_json=as_json)


@app.command("change")
def change(
    ctx: typer.Context,
    *,
    name: Name,
    role: Annotated[Role | None, typer.Option("--role", help="What the user may do from now on.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    password_stdin: FromStdin = False,
    as_json: Json = False,
) -> None:
    """Give a user another role or password; that user has to log in anew."""
    if role is None and not (password or password_stdin):
        raise UserError("nothing to change; give --role, --password or --password-stdin")
    new = _read_password(from_stdin=password_stdin) if password or password_stdin else None
    with open_home(ctx) as store:
        changed = store.users.change(name, role=role, password=new, actor=actor())
    _tell(changed, as_json=as_json)


@app.command("delete")
def delete(ctx: typer.Context, *, name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a user with all tokens; what that user did stays on record."""
    with open_home(ctx) as store:
        if not yes and not as_json:
            typer.confirm(f"delete the user {name}?", abort=True)
        store.users.delete(name, actor=actor())
    if as_json:
        print_json({"deleted": name})
    else:
        typer.echo(f"deleted {name}")


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    return password


def _tell(user: User, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
    else:
        typer.echo(f"{user.name} is {'an' if user.role.value[0] in 'ae' else 'a'} {user.role.value}")
