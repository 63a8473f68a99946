"""``modelyard resume``."""

from collections.abc import Sequence

import typer

from modelyard.agent.presence import live_agents, takes_runs_of
from modelyard.api.operations import Outcome, Result, request
from modelyard.api.targets import find_runs
from modelyard.api.training import Resources
from modelyard.api.who import actor
from modelyard.cli.context import Json, open_home
from modelyard.cli.control import Targets, show
from modelyard.cli.foreground import ExecutionOption, ProcessesOption, SlotsOption, run_in_foreground
from modelyard.domain.control import Resume
from modelyard.domain.errors import ConflictError
from modelyard.domain.run import RunState


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
        asked = [run.id for run in queued]
        outcomes = request(store, [*targets], Resume(), actor=actor(), timeout=0)
        outcomes = [outcome for outcome in outcomes if outcome.run.id not in asked]
        experiments = list(dict.fromkeys([*(run.experiment_id for run in queued), *_requeued(outcomes)]))
        if not experiments:
            _refuse(outcomes, as_json=as_json)
        resources = Resources(execution=execution, processes=processes, slots=slots)
        for experiment_id in experiments:
            agent = next((a for a in live_agents(store) if takes_runs_of(a, experiment_id)), None)
            experiment = store.experiments.get(experiment_id)
            if agent is None:
                run_in_foreground(store, experiment, resources, as_json=as_json)
            elif not as_json:
                typer.echo(f"{experiment.name}: process {agent.pid} on {agent.host} goes on with it")
            else:
                show(outcomes, as_json=True)


def _requeued(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.run.experiment_id for outcome in outcomes if outcome.result is Result.DONE]


def _refuse(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    show(outcomes, as_json=as_json)
    raise ConflictError("nothing to resume")
