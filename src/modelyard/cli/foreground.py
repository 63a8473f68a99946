"""Trains experiments in the foreground of a terminal or pipe, and says how it ended."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from modelyard.agent.warm_engines import WarmEngines
from modelyard.api.search import search_failure
from modelyard.api.training import Ending, Resources, View, runs_failed, search_failed, train_experiment
from modelyard.api.who import actor
from modelyard.cli.live import LiveView
from modelyard.cli.output import console, plain, print_json, run_json
from modelyard.cli.plain import PlainView
from modelyard.domain.errors import RunFailedError
from modelyard.domain.plan import ASKED_FOR, Execution
from modelyard.domain.run import Experiment, Run, RunState
from modelyard.store import Store

KILLED = 130
TERMINATED = 143


def _execution(value: str) -> Execution:
    """Return what was asked for. Raises ``typer.BadParameter`` if that is not a choice."""
    if value not in ASKED_FOR:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(ASKED_FOR)}")
    return Execution(value)


ExecutionOption = Annotated[
    Execution | None,
    typer.Option(
        "--execution",
        parser=_execution,
        metavar="EXECUTION",
        help="solo: one run after the other; sliced: several in turns; stacked: those of one structure as one model; "
        "default: what is measured to be the fastest.",
    ),
]
ProcessesOption = Annotated[
    int | None, typer.Option("--processes", min=1, help="Engine processes; default: planned from cores and devices.")
]
SlotsOption = Annotated[
    int | None, typer.Option("--slots", min=1, help="Runs in training at the same time in each process.")
]


def run_in_foreground(
    store: Store,
    experiment: Experiment,
    resources: Resources,
    *,
    as_json: bool,
    all_of_it: bool = False,
    warm: WarmEngines | None = None,
) -> None:
    """Train with a view, print how it ended, and raise ``RunFailedError`` if a run or the search failed meanwhile.

    ``all_of_it`` counts what had failed before, too. Ends the process with 130 after a second Ctrl-C and with 143
    after SIGTERM.
    """
    failed_before, told_before = set(), ""
    if not all_of_it:
        told_before = search_failure(store, experiment)
        failed_before = {run.id for run in store.runs.list(experiment_id=experiment.id, states={RunState.FAILED})}
    with _view(as_json) as view:
        ending = train_experiment(store, experiment, resources=resources, view=view, actor=actor(), warm=warm)
    runs = store.runs.list(experiment_id=experiment.id)
    undecided = search_failure(store, experiment)
    if as_json:
        _print_document(experiment, ending, runs, undecided)
    else:
        typer.echo(_last_words(experiment, ending, runs))
    if ending is Ending.KILLED:
        raise typer.Exit(KILLED)
    if ending is Ending.TERMINATED:
        raise typer.Exit(TERMINATED)
    failed = [run for run in runs if run.state is RunState.FAILED and run.id not in failed_before]
    if failed and not as_json:
        count = "1 run failed" if len(failed) == 1 else f"{len(failed)} runs failed"
        raise runs_failed(f"{count}; see: modelyard runs logs {failed[0].name}", failed)
    if undecided != told_before and not as_json:
        raise search_failed(experiment, undecided)
    if failed or undecided != told_before:
        raise typer.Exit(RunFailedError.exit_code)


def tell_finished(store: Store, experiment: Experiment, *, anew: str, as_json: bool) -> None:
    """Say that there is nothing to go on with; ``anew`` is the command that trains it again."""
    runs = store.runs.list(experiment_id=experiment.id)
    if as_json:
        _print_document(experiment, Ending.IDLE, runs, "")
        return
    counts = {state: sum(run.state is state for run in runs) for state in RunState}
    states = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
    typer.echo(
        f"{experiment.name} is finished ({states}), so there is nothing to go on with\n"
        f"  see it:           modelyard runs list --experiment {experiment.name}\n"
        f"  train it anew:    {anew}"
    )


def _print_document(experiment: Experiment, ending: Ending, runs: list[Run], undecided: str) -> None:
    document = {"experiment": plain(experiment), "ending": ending.name.lower(), "search_failure": undecided or None}
    print_json(document | {"runs": [run_json(run) for run in runs]})


@contextmanager
def _view(as_json: bool) -> Iterator[View]:
    """Choose the live table for a terminal; plain lines for a pipe, on standard error if JSON follows."""
    if as_json:
        yield PlainView(sys.stderr)
    elif sys.stdout.isatty():
        with LiveView(console()) as view:
            yield view
    else:
        yield PlainView(sys.stdout)


def _last_words(experiment: Experiment, ending: Ending, runs: list[Run]) -> str:
    if any(run.state in {RunState.PAUSED, RunState.QUEUED} for run in runs):
        word = {Ending.KILLED: "ended", Ending.TERMINATED: "ended", Ending.PAUSED: "paused"}.get(ending, "not finished")
        return f"{word}; go on with: modelyard resume {experiment.name}"
    return f"done; see: modelyard runs list --experiment {experiment.name}"
