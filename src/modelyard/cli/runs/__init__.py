"""``modelyard runs``: one file per command."""

import typer

from modelyard.cli.runs.artifact import artifact
from modelyard.cli.runs.compare import compare
from modelyard.cli.runs.export import export
from modelyard.cli.runs.listing import list_runs
from modelyard.cli.runs.logs import logs
from modelyard.cli.runs.metrics import metrics
from modelyard.cli.runs.show import show

app = typer.Typer(help="List, compare, read and export runs.", no_args_is_help=True)
app.command("list")(list_runs)
app.command("show")(show)
app.command("compare")(compare)
app.command("logs")(logs)
app.command("metrics")(metrics)
app.command("artifact")(artifact)
app.command("export")(export)
