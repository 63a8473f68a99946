"""``modelyard up``."""

import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.context import Json, open_home
from modelyard.cli.output import print_json
from modelyard.domain.errors import UserError
from modelyard.server.listening import DEFAULT_PORT, LOOPBACK
from modelyard.server.serve import Address, Options, Tls, serve


def up(
    ctx: typer.Context,
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65535, help=f"Port to listen on; default: the first free from {DEFAULT_PORT}."
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to listen on, 0.0.0.0 for all; any but this machine's own demands a login."
        ),
    ] = LOOPBACK,
    auth: Annotated[bool, typer.Option("--auth", help="Demand a login on this machine, too.")] = False,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="Certificate (PEM), to serve over HTTPS.", show_default=False)
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="Private key (PEM) of the certificate.", show_default=False)
    ] = None,
    agent: Annotated[bool, typer.Option("--agent/--no-agent", help="Train what is queued.")] = True,
    data_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--data-root", help="Let the page read data and images below this folder; default: your home. Repeatable."
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Serve the home on this machine, and train what is queued; Ctrl-C saves the runs and ends it."""
    if (tls_cert is None) != (tls_key is None):
        raise UserError("--tls-cert and --tls-key go together; give both")
    tls = None if tls_cert is None or tls_key is None else Tls(certificate=tls_cert, key=tls_key)

    def ready(address: Address) -> None:
        if as_json:
            print_json(asdict(address))
        else:
            typer.echo(f"Modelyard is at {address.url} (press Ctrl-C to end)")
            if not address.url.startswith(("https:", f"http://{LOOPBACK}", "http://localhost")):
                typer.echo("passwords and tokens travel unencrypted: give --tls-cert and --tls-key", err=True)
        sys.stdout.flush()
        if browser:
            webbrowser.open(address.url)

    with open_home(ctx) as store:
        options = Options(port=port, host=host, auth=auth, tls=tls, agent=agent, data_roots=data_root or ())
        serve(store, options, ready=ready)
