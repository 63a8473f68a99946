"""``modelyard resume``."""

from collections.abc import Sequence

import typer

from modelyard.agent.presence import live_agents, takes_runs_of
from modelyard.api.operations import Outcome, Result, request
from modelyard.api.targets import find_runs
from modelyard.api.training import Resources
from modelyard.api.who import actor
from modelyard.cli.context import Json, open_home
from modelyard.cli.control import Targets, outcome_json, show
from modelyard.cli.foreground import ExecutionOption, ProcessesOption, SlotsOption, run_in_foreground
from modelyard.cli.output import print_json
from modelyard.domain.control import Resume
from modelyard.domain.errors import UserError
from modelyard.domain.run import RunState
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
        queued = [run for run in find_runs(store, targets) if run.state is RunState.QUEUED]
        experiments = {run.experiment_id for run in find_runs(store, targets)}
        if as_json and len(experiments) > 1:
            raise UserError("--json resumes the runs of one experiment at a time")
        waiting = {run.id for run in queued}
        asked = request(store, targets, Resume(), actor=actor(), timeout=0)
        outcomes = [outcome for outcome in asked if outcome.run.id not in waiting]
        resumed = [outcome.run for outcome in outcomes if outcome.result is Result.DONE]
        if not queued and not resumed:
            show(outcomes, as_json=as_json)
            return
        _tell_refused(outcomes)
        resources = Resources(execution=execution, processes=processes, slots=slots)
        for experiment_id in dict.fromkeys(run.experiment_id for run in [*queued, *resumed]):
            _go_on(store, experiment_id, resources, outcomes, as_json=as_json)


def _go_on(
    store: Store, experiment_id: str, resources: Resources, outcomes: Sequence[Outcome], *, as_json: bool
) -> None:
    """Train in the foreground, or leave it to the process that already works on the experiment."""
    experiment = store.experiments.get(experiment_id)
    agent = next((agent for agent in live_agents(store) if takes_runs_of(agent, experiment_id)), None)
    if agent is None:
        run_in_foreground(store, experiment, resources, as_json=as_json)
    elif as_json:
        print_json([outcome_json(outcome) for outcome in outcomes])
    else:
        typer.echo(f"{experiment.name}: process {agent.pid} on {agent.host} goes on with it")


def _tell_refused(outcomes: Sequence[Outcome]) -> None:
    """Say which runs cannot go on; those that can do so all the same."""
    for outcome in outcomes:
        if outcome.result is Result.REFUSED:
            typer.echo(f"{outcome.run.name}: {outcome.message}", err=True)
