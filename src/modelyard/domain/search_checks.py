"""Whether a search fits the run that it varies."""

from collections.abc import Iterator, Sequence

from modelyard.domain.parts.metrics import MetricConfig, is_reported, reported_names
from modelyard.domain.schedulers import Asha, EveryRun, Hyperband, Median, Pasha, PopulationBased, Racing
from modelyard.domain.search import SearchConfig
from modelyard.domain.validation import nearest

_FORKED_PARTS = ("optimizer", "schedule", "loss")
"""Parts whose fields, but not whose kind, may change in the middle of a run."""
_FORKED_FIELDS = frozenset({"augment", "model.dropout", "training.clip_norm"})


def check_search(search: SearchConfig, *, metrics: Sequence[MetricConfig] | None, epochs: int | None) -> None:
    """Raise ``ValueError`` for a search that cannot decide about runs with these metrics and epochs.

    ``metrics`` is None for code of the user's own, which reports what it likes, and ``epochs`` if that code decides how
    long it trains.
    """
    if not search.decides:
        return
    _check_goals(search, metrics)
    if epochs is None:
        _check_no_epochs(search)
    elif search.scheduler != EveryRun():
        _check_epochs(search, epochs)
    if isinstance(search.scheduler, PopulationBased):
        _check_forks(search)


def _check_goals(search: SearchConfig, metrics: Sequence[MetricConfig] | None) -> None:
    for position, goal in enumerate(search.goals):
        part = f"search.objectives.{position}" if search.objectives else "search"
        field = f"{part}.metric"
        if metrics is None:
            if not goal.metric.startswith("val_"):
                raise ValueError(f"{field}: {goal.metric!r} is not a validation metric; it must start with 'val_'")
            if goal.metric != "val_loss" and goal.mode is None:
                raise ValueError(f"{part}.mode: say whether min or max of your own metric {goal.metric!r} is better")
        elif not is_reported(goal.metric, metrics):
            known = [f"val_{name}" for name in reported_names(metrics)]
            raise ValueError(
                f"{field}: {goal.metric!r} is not a validation metric of these runs{nearest(goal.metric, known)}; "
                "add it to run.metrics, or choose another"
            )


def _check_no_epochs(search: SearchConfig) -> None:
    if search.scheduler != EveryRun():
        raise ValueError(
            f"search.scheduler: a trainer fixes its number of epochs when it starts, so that {search.scheduler.name!r} "
            "cannot end it at one; leave the scheduler out"
        )
    if search.budget is not None and search.budget.epochs is not None:
        raise ValueError("search.budget.epochs: how many a trainer needs is not known before; give seconds instead")


def _check_epochs(search: SearchConfig, epochs: int) -> None:
    name = search.scheduler.name
    if any(path in {"training", "training.epochs"} for path in _varied(search)):
        raise ValueError(
            f"search: scheduler {name!r} decides how long each run trains, so training.epochs cannot be searched; "
            "set the most in run.training.epochs"
        )
    match search.scheduler:
        case Asha() | Pasha() | Hyperband() as halving:
            field, first = "min_epochs", halving.min_epochs
        case Median() as median:
            field, first = "grace", median.grace
        case PopulationBased() as generations:
            field, first = "interval", generations.interval
        case Racing() as racing:
            field, first = "interval", racing.every(epochs)
        case _:
            return
    if first >= epochs:
        raise ValueError(
            f"search.scheduler.{field}: {first} leaves nothing to decide in runs of {epochs} epochs; it must be below "
            "run.training.epochs"
        )


def _check_forks(search: SearchConfig) -> None:
    if search.method == "list":
        raise ValueError("search: scheduler 'pbt' needs a space to draw new values from; use method 'random' or 'grid'")
    for path in search.space:
        part, _, field = path.partition(".")
        forks = path in _FORKED_FIELDS or (part in _FORKED_PARTS and field not in {"", "name"})
        if not forks:
            raise ValueError(
                f"search.space.{path}: 'pbt' changes values in the middle of a run, and this one must stay as it is; "
                f"it can search fields of {', '.join(_FORKED_PARTS)}, and {', '.join(sorted(_FORKED_FIELDS))}"
            )


def _varied(search: SearchConfig) -> Iterator[str]:
    yield from search.space
    for run in search.runs:
        yield from run
