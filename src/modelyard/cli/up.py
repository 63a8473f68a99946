"""``modelyard up``."""

import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.context import Json, open_home
from modelyard.cli.output import print_json
from modelyard.server.serve import DEFAULT_PORT, Address, Options, serve


def up(
    ctx: typer.Context,
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65535, help=f"Port on 127.0.0.1; default: the first free from {DEFAULT_PORT}."
        ),
    ] = None,
    agent: Annotated[bool, typer.Option("--agent/--no-agent", help="Train what is queued.")] = True,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder", help="A folder besides your own whose images models may be tried on; may be repeated."
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Serve the home on this machine, and train what is queued; Ctrl-C saves the runs and ends it."""

    def ready(address: Address) -> None:
        if as_json:
            print_json(asdict(address))
        else:
            typer.echo(f"Modelyard is at {address.url} (press Ctrl-C to end)")
        sys.stdout.flush()
        if browser:
            webbrowser.open(address.url)

    with open_home(ctx) as store:
        serve(store, Options(port=port, agent=agent, folders=folder or ()), ready=ready)
