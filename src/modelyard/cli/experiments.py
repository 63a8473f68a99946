"""``modelyard experiments``."""

from typing import Annotated

import typer

from modelyard.api.operations import settle
from modelyard.api.searchview import SearchView, view_search
from modelyard.api.targets import EXPERIMENT_PREFIX, find_target
from modelyard.cli.completion import complete_experiments
from modelyard.cli.context import Json, Yes, open_home
from modelyard.cli.delete import delete_targets
from modelyard.cli.output import console, local_time, plain, print_json, run_json, table, text
from modelyard.cli.runs.listing import print_runs
from modelyard.domain.run import Experiment

app = typer.Typer(help="List, show and delete experiments.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="Name, id, or the start of an id.",
        show_default=False,
        autocompletion=complete_experiments,
    ),
]


Names = Annotated[
    list[str],
    typer.Argument(
        metavar="EXPERIMENT...",
        help="Names, ids, or the start of an id.",
        show_default=False,
        autocompletion=complete_experiments,
    ),
]


@app.command("list")
def list_experiments(
    ctx: typer.Context,
    *,
    project: Annotated[str | None, typer.Option("--project", help="Only those of this project.")] = None,
    as_json: Json = False,
) -> None:
    """List experiments, newest first, with how many of their runs are in which state."""
    with open_home(ctx) as store:
        settle(store)
        found = store.experiments.list(project=project)
        counts = store.runs.count_states()
    if as_json:
        print_json([_json(experiment) | {"states": counts.get(experiment.id, {})} for experiment in found])
        return
    if not found:
        typer.echo("no experiments; start one: modelyard init")
        return
    grid = table("experiment", "project", "runs", "states", "created", right=("runs",))
    for experiment in found:
        states = ", ".join(f"{count} {state}" for state, count in counts.get(experiment.id, {}).items())
        created = local_time(experiment.created_at)
        grid.add_row(text(experiment.name), text(experiment.project), str(experiment.run_count), states, created)
    console().print(grid)


@app.command("show")
def show(
    ctx: typer.Context,
    *,
    experiment: Name,
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="Also list decisions of its search, requests and failures."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show an experiment: its sweep, how far its search is, and its runs."""
    with open_home(ctx) as store:
        settle(store)
        found = store.experiments.get(experiment)
        runs = store.runs.list(experiment_id=found.id)
        search = view_search(store, found)
    if as_json:
        print_json(_json(found) | {"search": plain(search), "runs": [run_json(run) for run in runs]})
        return
    out = console()
    out.print(f"[bold]{text(found.name)}[/]  project {text(found.project)}, created {local_time(found.created_at)}")
    out.print(f"id {found.id}  sweep {found.sweep_hash[:12]}")
    if search is not None:
        _print_search(search, decisions=decisions)
    print_runs(runs)


def _print_search(search: SearchView, *, decisions: bool) -> None:
    out = console()
    out.print(text(f"search: {search.description}"))
    numbers = ("epoch", "trials", "waiting", "in training", "went on", "stopped", "best")
    grid = table(*numbers, right=numbers)
    for rung in search.rungs:
        counts = (rung.epoch, rung.came, rung.waiting, rung.training, rung.went_on, rung.stopped, rung.best)
        grid.add_row(*map(str, counts))
    out.print(grid)
    if search.ending:
        out.print(text(search.ending))
    if decisions:
        steps = table("trial", "run", "what", "epoch", "until", "by", "reason", right=("trial", "epoch", "until"))
        for one in search.history:
            name, epochs = text(one.run or "-"), (text(one.epoch), text(one.until))
            steps.add_row(text(one.trial), name, one.kind, *epochs, text(one.actor), text(one.reason))
        out.print(steps)


@app.command("delete")
def delete(ctx: typer.Context, *, experiments: Names, yes: Yes = False, as_json: Json = False) -> None:
    """Delete experiments with all their runs; refused while one of them is in training."""
    with open_home(ctx) as store:
        settle(store)
        prefixed = [f"{EXPERIMENT_PREFIX}{name.removeprefix(EXPERIMENT_PREFIX)}" for name in experiments]
        targets = [find_target(store, name) for name in dict.fromkeys(prefixed)]
        delete_targets(store, targets, yes=yes, as_json=as_json)


def _json(experiment: Experiment) -> dict[str, object]:
    document: dict[str, object] = plain(experiment)
    return document
