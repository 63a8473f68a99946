"""``modelyard runs compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.api.comparison import Comparison, MetricLine
from modelyard.api.comparison import compare as compare_runs
from modelyard.api.report import check_writable, report_html, write_report
from modelyard.api.results import check_metric, choose_metric, ranked, search_goals
from modelyard.api.targets import Target, find_target
from modelyard.cli.chart import MARKS
from modelyard.cli.completion import complete_runs, complete_targets
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import console, plain, print_json, text
from modelyard.cli.report import collect_targets, say_written
from modelyard.cli.runs.compare_tables import below_each_other, beside_each_other
from modelyard.cli.runs.curves import metric_chart
from modelyard.domain.errors import UserError
from modelyard.domain.run import Run
from modelyard.store import Store


def compare(
    ctx: typer.Context,
    *,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs or experiments.", show_default=False, autocompletion=complete_targets
        ),
    ],
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="Rank by this metric, and draw its curves over each other.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="RUN", help="Say where configs differ from this run's.", autocompletion=complete_runs
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Of more than eight runs, show so many of the best.")
    ] = 20,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the report on just these runs.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --html: overwrite a file that is no report.")] = False,
    as_json: Json = False,
) -> None:
    """Put runs side by side: the config fields that differ, final and best values, and how far each is from the best.

    More runs than fit beside each other are listed below each other, the best first.
    """
    if html is not None:
        check_writable(html, force=force)
    with open_home(ctx) as store:
        found = [find_target(store, ref) for ref in targets]
        if base is not None:
            found.insert(0, Target(base, (store.runs.get(base),), None))
        runs = list({run.id: run for target in found for run in target.runs}.values())
        if len(runs) < 2:
            raise UserError("name at least two runs to compare, or an experiment that has them")
        by = check_metric(metric, runs) if metric is not None else choose_metric(runs, search_goals(store, runs))
        comparison = compare_runs(store, runs)
        chart = [] if metric is None or as_json else _chart(store, comparison, metric)
        report = None if html is None else collect_targets(store, found, metrics=[metric] if metric else [])
    if report is not None and html is not None:
        write_report(report_html(report), html, force=force)
    if as_json:
        print_json(_document(comparison, by=by, base=None if base is None else runs[0]))
        return
    out = console()
    grid = beside_each_other(comparison, out.width, by=by, based=base is not None)
    hidden = ""
    if grid is None:
        below = below_each_other(comparison, out.width, by=by, limit=limit, based=base is not None)
        grid, hidden = below.grid, below.hidden
    out.print(grid)
    if by is not None:
        out.print(text(_ranking(comparison, by)))
    if hidden:
        typer.echo(hidden)
    if chart:
        typer.echo("\n" + "\n".join(chart))
    if report is not None and html is not None:
        say_written(report, html)


def _chart(store: Store, comparison: Comparison, metric: str) -> list[str]:
    """Draw the best runs that have the metric, as many as there are marks."""
    (line,) = [line for line in comparison.metrics if line.name == metric]
    results = {run.id: found for run, found in zip(comparison.runs, line.results, strict=True) if found is not None}
    known = ranked([run for run in comparison.runs if run.id in results], results, lowest=line.lowest)
    lines = metric_chart(store, known[: len(MARKS)], metric)
    hidden = len(known) - len(MARKS)
    return lines + ([f"the {len(MARKS)} best runs are drawn, {hidden} are not"] if hidden > 0 else [])


def _ranking(comparison: Comparison, metric: str) -> str:
    """Say what "best" means here."""
    lowest = any(line.name == metric and line.lowest for line in comparison.metrics)
    return f"the best run has the best {metric} of any epoch ({'less' if lowest else 'more'} is better)"


def _document(comparison: Comparison, *, by: str | None, base: Run | None) -> dict[str, Any]:
    return {
        "runs": [{"id": run.id, "name": run.name, "state": run.state.value} for run in comparison.runs],
        "base": None if base is None else base.name,
        "metric": by,
        "config": {line.name: plain(line.values) for line in comparison.config},
        "metrics": {line.name: plain(line.values) for line in comparison.metrics},
        "best": {line.name: _bests(line) for line in comparison.metrics if line.top is not None},
    }


def _bests(line: MetricLine) -> Sequence[dict[str, Any] | None]:
    return [
        None
        if found is None or found.best is None
        else {"value": found.best, "step": found.best_step, "epoch": found.best_epoch}
        for found in line.results
    ]
