"""What runs reached: final and best values of a metric with their epochs, and the order that follows from them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.api.tuned import total_epochs, tuned_fields
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import NotFoundError
from modelyard.domain.parts.metrics import better_mode
from modelyard.domain.run import Run
from modelyard.domain.validation import nearest
from modelyard.store import Store

_JUDGED = ("val_", "test_", "train_loss")
_ORDER = ("test_", "val_", "train_")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run reached in one metric. Epochs count from 1; None where the number of steps is not known yet."""

    final: float
    """The newest value; may be NaN."""
    final_step: int
    final_epoch: int | None
    best: float | None
    """The best finite value; None if there is none, or if nobody knows what is better."""
    best_step: int | None
    best_epoch: int | None


def results(store: Store, runs: Sequence[Run], metric: str, *, lowest: bool) -> dict[str, Result]:
    """Return by run id what each run reached; runs without the metric are left out. A fixed number of queries.

    ``lowest``: whether less is better, see ``lower_is_better``.
    """
    ids = [run.id for run in runs]
    epochs = epochs_of(store, runs)
    ends = store.metrics.chart(ids, metric, buckets=1)
    bests = store.metrics.extremes(ids, metric, lowest=lowest) if is_judged(metric) else {}
    found = {}
    for run in runs:
        if run.id not in ends:
            continue
        end, best = ends[run.id], bests.get(run.id)
        step = int(end.steps[-1])
        found[run.id] = Result(
            final=float(end.last[-1]),
            final_step=step,
            final_epoch=epoch_at(run, step, epochs[run.id]),
            best=None if best is None else best.value,
            best_step=None if best is None else best.step,
            best_epoch=None if best is None else epoch_at(run, best.step, epochs[run.id]),
        )
    return found


def ranked(runs: Sequence[Run], found: Mapping[str, Result], *, lowest: bool) -> list[Run]:
    """Order runs by their best value, best first; those that have none come last, in the order they came."""

    def key(run: Run) -> float:
        best = found[run.id].best if run.id in found else None
        return math.inf if best is None else best if lowest else -best

    return sorted(runs, key=key)


def epochs_of(store: Store, runs: Sequence[Run]) -> dict[str, int | None]:
    """Return by run id how many epochs each is to train; None where nobody knows yet. One query."""
    tuned = tuned_fields(store, runs)
    return {run.id: total_epochs(run, tuned.get(run.id, {})) for run in runs}


def epoch_at(run: Run, step: int, epochs: int | None) -> int | None:
    """Return the epoch, counted from 1, that a step belongs to; None as long as the steps of an epoch are not known."""
    if not run.total_steps or not epochs:
        return None
    return -(-step * epochs // run.total_steps)


def is_judged(metric: str) -> bool:
    """Whether it is known what is better: of losses and evaluations it is, of learning rates and speeds it is not."""
    return metric.startswith(_JUDGED)


def lower_is_better(metric: str, runs: Sequence[Run], goals: Mapping[str, str]) -> bool:
    """Whether less of the metric is better: as ``search_goals`` say, or a mode in a config, or else its name."""
    if metric in goals:
        return goals[metric] == "min"
    for run in runs:
        training = json.loads(run.spec_json).get("training") or {}
        for watched in (training.get("checkpoint"), training.get("early_stopping")):
            if watched and watched.get("metric") == metric and watched.get("mode"):
                return bool(watched["mode"] == "min")
    return better_mode(metric) == "min"


def metric_names(runs: Sequence[Run]) -> list[str]:
    """Return every metric that any of the runs has: test, validation, training, then the rest."""

    def place(name: str) -> tuple[int, str]:
        found = (index for index, prefix in enumerate(_ORDER) if name.startswith(prefix))
        return next(found, len(_ORDER)), name

    return sorted({name for run in runs for name in run.summary}, key=place)


def search_goals(store: Store, runs: Sequence[Run]) -> dict[str, str]:
    """Return what the searches that made the runs go by, each with ``min`` or ``max``. One query, if there are any."""
    ids = {run.experiment_id for run in runs if run.trial is not None}
    if not ids:
        return {}
    sweeps = [SweepSpec.model_validate_json(one.sweep_json) for one in store.experiments.list() if one.id in ids]
    goals = [goal for sweep in sweeps if sweep.search.decides for goal in sweep.search.goals]
    return {goal.metric: goal.mode or better_mode(goal.metric) for goal in goals}


def choose_metric(runs: Sequence[Run], goals: Mapping[str, str]) -> str | None:
    """Return what to judge runs by, of what one of them has: the first of ``search_goals``, else the first metric of
    their configs, else a loss, else None."""
    known = set(metric_names(runs))
    configured = [*goals, *(f"val_{name}" for run in runs for name in _configured(run))]
    return next((name for name in (*configured, "val_loss", "train_loss") if name in known), None)


def check_metric(metric: str, runs: Sequence[Run]) -> str:
    """Return ``metric``. Raises ``NotFoundError`` with the nearest name if none of the runs has it."""
    known = metric_names(runs)
    if metric not in known:
        hint = nearest(metric, known) or "; they have none yet"
        raise NotFoundError(f"none of these runs has a metric {metric!r}{hint}")
    return metric


def _configured(run: Run) -> list[str]:
    return [str(metric.get("name")) for metric in json.loads(run.spec_json).get("metrics") or ()]
