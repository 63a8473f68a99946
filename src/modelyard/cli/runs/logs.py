"""``modelyard runs logs``."""

import json
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from modelyard.api.operations import settle
from modelyard.api.progress import is_over
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import local_time, plain
from modelyard.cli.runs.show import RunArgument
from modelyard.store import LeaseObserver, Store
from modelyard.store.logs import LogLine

_POLL_SECONDS = 0.2
_PAGE = 1000


def logs(
    ctx: typer.Context,
    *,
    run: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new lines until the run ends.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=1, help="Only the newest so many lines.")] = None,
    times: Annotated[bool, typer.Option("--times", "-t", help="Show when each line was written.")] = False,
    as_json: Json = False,
) -> None:
    """Print a run's log; with --json, one JSON object per line."""
    with open_home(ctx) as store:
        found = store.runs.get(run)
        after = 0
        if lines is not None:
            newest = store.logs.tail(found.id, lines)
            _print(newest, times=times, as_json=as_json)
            after = newest[-1].number if newest else 0
        after = _print_after(store, found.id, after, times=times, as_json=as_json)
        observer = LeaseObserver()
        while follow:
            # The state is read before the lines, so that lines written just before the end are not missed.
            settle(store, observer)
            over = is_over(store.runs.get(found.id))
            after = _print_after(store, found.id, after, times=times, as_json=as_json)
            if over:
                return
            time.sleep(_POLL_SECONDS)


def _print_after(store: Store, run_id: str, after: int, *, times: bool, as_json: bool) -> int:
    while page := store.logs.read(run_id, after=after, limit=_PAGE):
        _print(page, times=times, as_json=as_json)
        after = page[-1].number
    return after


def _print(lines: Sequence[LogLine], *, times: bool, as_json: bool) -> None:
    for line in lines:
        if as_json:
            typer.echo(json.dumps(plain(line), ensure_ascii=False))
        else:
            typer.echo(f"{local_time(line.time)}  {line.text}" if times else line.text)
