"""``modelyard runs artifact``."""

import json
from typing import Annotated

import typer

from modelyard.api.artifacts import read_artifact
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import plain, print_json
from modelyard.cli.runs.show import RunArgument


def artifact(
    ctx: typer.Context,
    *,
    run: RunArgument,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Such as val/confusion_matrix; runs show lists them.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Print an artifact of a run, such as its confusion matrix."""
    with open_home(ctx) as store:
        found = read_artifact(store, store.runs.get(run).id, name)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{found.name}, step {found.step}")
        typer.echo(_readable(plain(found.content)))


def _readable(value: object) -> str:
    """Write JSON with each row of a matrix in a line of its own."""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_readable(item)}" for key, item in value.items())
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        width = max(len(json.dumps(cell)) for row in value for cell in row)
        return "\n" + "\n".join(" ".join(f"{json.dumps(cell):>{width}}" for cell in row) for row in value)
    return json.dumps(value, ensure_ascii=False)
