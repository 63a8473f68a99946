"""``modelyard resume``."""

from collections.abc import Sequence

import typer

from modelyard.agent.presence import describe, find_agent, unknown_holders
from modelyard.api.operations import Outcome, Result, request, settle, settle_unknown
from modelyard.api.search import can_decide
from modelyard.api.targets import find_runs, find_target
from modelyard.api.training import Resources
from modelyard.api.who import actor
from modelyard.cli.context import Json, open_home
from modelyard.cli.control import Targets, outcome_json, show
from modelyard.cli.foreground import ExecutionOption, ProcessesOption, SlotsOption, run_in_foreground
from modelyard.cli.output import print_json
from modelyard.domain.control import Resume
from modelyard.domain.errors import UserError
from modelyard.domain.run import Run, RunState
from modelyard.store import Store


def resume(
    ctx: typer.Context,
    *,
    targets: Targets,
    execution: ExecutionOption = None,
    processes: ProcessesOption = None,
    slots: SlotsOption = None,
    as_json: Json = False,
) -> None:
    """Go on with paused, stopped or failed runs from their newest checkpoint, and with queued ones.

    Trains in the foreground, unless another Modelyard process already works on the experiment.
    """
    with open_home(ctx) as store:
        settle(store)
        if as_json and len({run.experiment_id for run in find_runs(store, targets)}) > 1:
            raise UserError("--json resumes the runs of one experiment at a time")
        waiting = _waiting(store, targets)
        ids = {run.id for run in waiting}
        asked = request(store, targets, Resume(), actor=actor(), timeout=0)
        outcomes = [outcome for outcome in asked if outcome.run.id not in ids]
        resumed = [outcome.run for outcome in outcomes if outcome.result is Result.DONE]
        searching = _searching(store, targets)
        if not waiting and not resumed and not searching:
            show(outcomes, as_json=as_json)
            return
        _tell_refused(outcomes)
        resources = Resources(execution=execution, processes=processes, slots=slots)
        going_on = [*(run.experiment_id for run in [*waiting, *resumed]), *searching]
        for experiment_id in dict.fromkeys(going_on):
            _go_on(store, experiment_id, resources, outcomes, as_json=as_json)


def _waiting(store: Store, targets: Sequence[str]) -> list[Run]:
    """Return the runs that only need an agent: queued ones, and those of a process that may be dead.

    A run that such a process was asked to pause or stop has to do so first, which takes up to 30 seconds.
    """
    ending = [run for run in find_runs(store, targets) if run.state in {RunState.PAUSING, RunState.STOPPING}]
    holders = unknown_holders(store, ending)
    if holders:
        _say(f"waiting for a sign of life of {' and '.join(describe(worker) for worker in holders)}")
        settle_unknown(store, ending)
    runs = find_runs(store, targets)
    unknown = {worker.id for worker in unknown_holders(store, runs)}
    return [
        run
        for run in runs
        if run.state is RunState.QUEUED or (run.state is RunState.RUNNING and run.worker_id in unknown)
    ]


def _searching(store: Store, targets: Sequence[str]) -> list[str]:
    """Return the ids of those of the named experiments whose search has something left to decide."""
    experiments = [find_target(store, target).experiment for target in targets]
    return [one.id for one in experiments if one is not None and can_decide(store, one)]


def _go_on(
    store: Store, experiment_id: str, resources: Resources, outcomes: Sequence[Outcome], *, as_json: bool
) -> None:
    """Train in the foreground, or leave it to the process that already works on the experiment."""
    experiment = store.experiments.get(experiment_id)
    agent = find_agent(store, experiment_id, say=_say)
    if agent is None:
        holders = unknown_holders(store, store.runs.list(experiment_id=experiment_id))
        for holder in holders:
            _say(f"what {describe(holder)} has goes on here when it has shown no sign of life for 30 s")
        run_in_foreground(store, experiment, resources, as_json=as_json)
    elif as_json:
        print_json([outcome_json(outcome) for outcome in outcomes])
    else:
        typer.echo(f"{experiment.name}: {describe(agent)} goes on with it")


def _say(message: str) -> None:
    typer.echo(message, err=True)


def _tell_refused(outcomes: Sequence[Outcome]) -> None:
    """Say which runs cannot go on; those that can do so all the same."""
    for outcome in outcomes:
        if outcome.result is Result.REFUSED:
            typer.echo(f"{outcome.run.name}: {outcome.message}", err=True)
