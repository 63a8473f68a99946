"""``modelyard clone``."""

from typing import Annotated

import typer

from modelyard.agent.presence import live_agents, takes_runs_of
from modelyard.api.cloning import Cloned
from modelyard.api.cloning import clone as clone_run
from modelyard.api.edits import parse_edits
from modelyard.api.who import actor
from modelyard.cli.completion import complete_runs
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import config_value, plain, print_json, run_json
from modelyard.store import Store


def clone(
    ctx: typer.Context,
    *,
    run: Annotated[str, typer.Argument(help="The parent run.", show_default=False, autocompletion=complete_runs)],
    edits: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the config; may be repeated."),
    ] = None,
    warm_start: Annotated[
        str | None,
        typer.Option("--warm-start", help="Start from weights: last, best, a step, or a checkpoint's id."),
    ] = None,
    inherit_optimizer: Annotated[
        bool, typer.Option("--inherit-optimizer", help="With --warm-start: take over the optimizer state too.")
    ] = False,
    priority: Annotated[
        int | None, typer.Option("--priority", min=-100, max=100, help="Priority; default: the parent's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Queue a new run with a run's config and your edits; the edits are checked like a sweep file."""
    with open_home(ctx) as store:
        cloned = clone_run(
            store,
            store.runs.get(run),
            parse_edits(edits or []),
            warm_start=warm_start,
            inherit_optimizer=inherit_optimizer,
            priority=priority,
            actor=actor(),
        )
        who = _who_takes_it(store, cloned)
    if as_json:
        print_json({"run": run_json(cloned.run, config=True), "changes": plain(cloned.changes), "taken_by": who})
        return
    for change in cloned.changes:
        typer.echo(f"  {change.path}: {config_value(change.before)} -> {config_value(change.after)}")
    start = "" if cloned.run.warm_start is None else f", starting from checkpoint {cloned.run.warm_start}"
    typer.echo(f"{cloned.run.name} is queued{start}")
    nobody = f"no process of this machine takes it yet; run: modelyard resume {cloned.run.name}"
    typer.echo(f"{who} takes it" if who else nobody)


def _who_takes_it(store: Store, cloned: Cloned) -> str | None:
    for agent in live_agents(store):
        if takes_runs_of(agent, cloned.run.experiment_id):
            return f"process {agent.pid} on {agent.host}"
    return None
