"""What people see of a search: how it decides, how far its trials are, and every decision with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from modelyard.api.searchhistory import SearchStep, search_history
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment
from modelyard.domain.schedulers import Asha, Hyperband, Median, Pasha, PopulationBased, Racing, rungs
from modelyard.domain.search import LEARNING_METHODS
from modelyard.domain.search_log import Decision
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import Trial, TrialStatus
from modelyard.store import Store


@dataclass(frozen=True, kw_only=True)
class RungView:
    """The trials that a search looked at after so many epochs."""

    epoch: int
    came: int
    """Trials that came here."""
    training: int
    """Those that went on and still train."""
    waiting: int
    stopped: int
    """Those that the search ended here."""
    went_on: int
    best: str
    """The best value here; a dash if there is none."""


@dataclass(frozen=True, kw_only=True)
class SearchView:
    """A search as far as it is."""

    description: str
    ending: str
    """How it ended; empty while it goes on."""
    trials: int
    best_trial: int | None
    rungs: tuple[RungView, ...]
    decisions: tuple[Decision, ...]
    history: tuple[SearchStep, ...]
    """The decisions, and between them what people did to the runs and which of these failed."""
    runs: Mapping[int, str]
    """The name of each trial's run; its number is another one where clones came in between."""


def view_search(store: Store, experiment: Experiment) -> SearchView | None:
    """Read an experiment's search; None if it decides nothing."""
    sweep = SweepSpec.model_validate_json(experiment.sweep_json)
    if not sweep.search.decides:
        return None
    search = Search(sweep)
    decisions = [decision for entry in store.searches.log(experiment.id) for decision in search.feed(entry)]
    goal = Goal.of(sweep.search.goals[0])
    runs = store.runs.list(experiment_id=experiment.id)
    ends = sorted({decision.until for decision in decisions if decision.trial is not None})
    best = search.best
    return SearchView(
        description=describe_search(sweep, len(search.trials)),
        ending=search.ending,
        trials=len(search.trials),
        best_trial=None if best is None else best.number,
        rungs=tuple(_rung(epoch, search.trials, goal) for epoch in ends),
        decisions=tuple(decisions),
        history=search_history(store, experiment, runs),
        runs={run.trial: run.name for run in runs if run.trial is not None},
    )


def describe_search(sweep: SweepSpec, known: int) -> str:
    """Say in one line how a sweep is searched; ``known`` is how many of its trials there are already."""
    search = sweep.search
    trials = search.samples or known
    goals = ", ".join(f"{goal.metric} ({'less' if goal.mode == 'min' else 'more'} is better)" for goal in _goals(sweep))
    most = "up to " if search.method in LEARNING_METHODS or search.budget is not None else ""
    parts = [f"{search.method}, {most}{trials} trials, {search.concurrency} at a time, by {goals}", _schedule(sweep)]
    if search.budget is not None:
        unit, amount = next((name, value) for name, value in search.budget.model_dump(exclude_none=True).items())
        unit = unit.replace("_", "-")
        parts.append(f"at most {amount:g} {unit.removesuffix('s') if amount == 1 else unit}")
    return "; ".join(parts)


def _goals(sweep: SweepSpec) -> list[Goal]:
    return [Goal.of(objective) for objective in sweep.search.goals]


def _schedule(sweep: SweepSpec) -> str:
    epochs = sweep.run.training.epochs
    match sweep.search.scheduler:
        case Asha() | Pasha() | Hyperband() as config:
            levels = ", ".join(map(str, rungs(config.min_epochs, config.reduction, epochs)))
            return f"{config.name}: rungs at epochs {levels} of {epochs}; the best 1 in {config.reduction} goes on"
        case Median() as config:
            return f"median: looks after {config.grace} of {epochs} epochs, and every {config.interval} from then on"
        case PopulationBased() as config:
            share = f"the worst {config.quantile:.0%} are replaced by copies of the best"
            return f"pbt: every {config.interval} of {epochs} epochs {share}"
        case Racing() as config:
            test = f"ends who is worse than the best beyond doubt (alpha {config.alpha:g})"
            return f"racing: every {config.every(epochs)} of {epochs} epochs {test}"
        case _:
            return "every trial trains to its end"


def _rung(epoch: int, trials: list[Trial], goal: Goal) -> RungView:
    came = [trial for trial in trials if trial.epoch >= epoch > trial.start]
    here = [trial for trial in came if trial.epoch == epoch]
    statuses = [trial.status for trial in here]
    best = min((trial.losses.get(epoch, WORST) for trial in came), default=WORST)
    return RungView(
        epoch=epoch,
        came=len(came),
        training=statuses.count(TrialStatus.TRAINING),
        waiting=statuses.count(TrialStatus.WAITING),
        stopped=statuses.count(TrialStatus.STOPPED),
        went_on=len(came) - len(here) + statuses.count(TrialStatus.TRAINING),
        best="-" if best == WORST else goal.value(best),
    )
