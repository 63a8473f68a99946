"""``modelyard runs metrics``."""

from collections.abc import Sequence
from typing import Annotated

import typer

from modelyard.api.sparkline import sparkline
from modelyard.api.targets import find_runs
from modelyard.cli.completion import complete_targets
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import console, number, plain, print_json, table, text
from modelyard.cli.runs.curves import metric_chart
from modelyard.domain.errors import NotFoundError
from modelyard.domain.run import Run
from modelyard.domain.validation import nearest
from modelyard.store import Store

_SPARK_BUCKETS = 40


def metrics(
    ctx: typer.Context,
    *,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs or experiments.", show_default=False, autocompletion=complete_targets
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", "-m", help="Draw this metric; without it, all are listed.")
    ] = None,
    height: Annotated[int, typer.Option("--height", min=3, max=200, help="Lines of the chart.")] = 16,
    width: Annotated[
        int | None, typer.Option("--width", min=20, max=1000, help="Columns of the chart; default: the terminal's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the metrics of runs, or draw one of them as a chart; with --json, every point of their histories."""
    with open_home(ctx) as store:
        runs = find_runs(store, targets)
        names = {run.id: store.metrics.names(run.id) for run in runs}
        if name is not None:
            runs = _runs_with(runs, names, name)
        if as_json:
            print_json([_history(store, run, [name] if name else names[run.id]) for run in runs])
        elif name is None:
            _list(store, runs, names)
        else:
            typer.echo("\n".join(metric_chart(store, runs, name, width=width, height=height)))


def _runs_with(runs: Sequence[Run], names: dict[str, list[str]], name: str) -> list[Run]:
    known = sorted({known for run in runs for known in names[run.id]})
    if name not in known:
        raise NotFoundError(f"none of these runs has a metric {name!r}{nearest(name, known)}")
    return [run for run in runs if name in names[run.id]]


def _list(store: Store, runs: Sequence[Run], names: dict[str, list[str]]) -> None:
    grid = table("run", "metric", "last", "curve", right=("last",))
    for run in runs:
        for name in names[run.id]:
            chart = store.metrics.chart([run.id], name, buckets=_SPARK_BUCKETS)[run.id]
            last = number(run.summary.get(name))
            grid.add_row(text(run.name), text(name), last, sparkline(chart.mean.tolist()))
    console().print(grid)


def _history(store: Store, run: Run, names: Sequence[str]) -> dict[str, object]:
    histories = {name: store.metrics.history(run.id, name) for name in names}
    return {
        "run": run.name,
        "run_id": run.id,
        "metrics": {
            name: {
                "steps": series.steps.tolist(),
                "times": series.times.tolist(),
                "values": plain(series.values.tolist()),
                "attempts": series.attempts.tolist(),
            }
            for name, series in histories.items()
        },
    }
