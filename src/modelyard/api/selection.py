"""Picks and orders runs for lists."""

import math
from collections.abc import Callable, Mapping, Sequence

from modelyard.api.results import lower_is_better, search_goals
from modelyard.api.tuned import tuned_fields
from modelyard.domain.errors import UserError
from modelyard.domain.query import RUN_FIELDS, Value, check_fields, fields_of, run_fields
from modelyard.domain.query_parser import parse
from modelyard.domain.run import Run
from modelyard.domain.validation import nearest
from modelyard.store import Store

SHOWN_FIELDS: Mapping[str, Callable[[Run], Value]] = {
    "done": lambda run: run.step / run.total_steps if run.total_steps else None,
    "updated": lambda run: run.updated_at.isoformat(),
    "how": lambda run: run.how,
    "why": lambda run: run.why,
}
"""Columns of a list of runs that are no fields of a filter; ``done`` is a share, ``updated`` a time in UTC."""

BEST = "best."
"""``best.val_loss`` is the lowest value of ``val_loss`` that a run ever had, ``best.val_accuracy`` the highest."""


def select_runs(
    store: Store,
    *,
    experiment: str | None = None,
    project: str | None = None,
    where: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> list[Run]:
    """Return runs in order of creation, or by the field ``sort`` (``-val_accuracy``: highest first).

    ``where`` is a filter as ``domain.query_parser`` describes it. Runs without the sorted field come last. Raises
    ``UserError`` for a filter or field that makes no sense, ``NotFoundError`` for the experiment.
    """
    condition = None if where is None else parse(where)
    experiment_id = None if experiment is None else store.experiments.get(experiment).id
    runs = store.runs.list(experiment_id=experiment_id, project=project)
    if condition is not None and where is not None:
        tuned = tuned_fields(store, runs)
        fields = {run.id: run_fields(run, tuned.get(run.id)) for run in runs}
        if any(field not in RUN_FIELDS for field in fields_of(condition)) and runs:
            check_fields(where, condition, {*RUN_FIELDS, *(name for row in fields.values() for name in row)})
        runs = [run for run in runs if condition.matches(fields[run.id])]
    if sort is not None:
        runs = _sorted(store, runs, sort)
    return runs if limit is None else runs[:limit]


def field_values(store: Store, runs: Sequence[Run], names: Sequence[str]) -> list[list[Value]]:
    """Return the value of each named field of each run; a metric's best one where ``BEST`` is before its name.

    Raises ``UserError`` for a field that no run has.
    """
    tuned = tuned_fields(store, runs) if names else {}
    best = _best(store, runs, [name.removeprefix(BEST) for name in names if name.startswith(BEST)])
    rows = [
        {field: read(run) for field, read in SHOWN_FIELDS.items()}
        | run_fields(run, tuned.get(run.id))
        | best.get(run.id, {})
        for run in runs
    ]
    known = {
        *RUN_FIELDS,
        *(name for row in rows for name in row),
        *(BEST + name for run in runs for name in run.summary),
    }
    for name in names:
        if runs and name not in known:
            raise UserError(f"no run has a field {name!r}{_close(name, known)}")
    return [[row.get(name) for name in names] for row in rows]


def _best(store: Store, runs: Sequence[Run], metrics: Sequence[str]) -> dict[str, dict[str, Value]]:
    """Return by run id the best value of each metric, if it has one that is finite. A query for each metric."""
    found: dict[str, dict[str, Value]] = {}
    goals = search_goals(store, runs) if metrics else {}
    for metric in metrics:
        lowest = lower_is_better(metric, runs, goals)
        for run_id, (low, high) in store.metrics.ranges([run.id for run in runs], metric).items():
            value = low if lowest else high
            if math.isfinite(value):
                found.setdefault(run_id, {})[BEST + metric] = value
    return found


def _sorted(store: Store, runs: list[Run], sort: str) -> list[Run]:
    name, falling = sort.removeprefix("-"), sort.startswith("-")
    values = {run.id: row[0] for run, row in zip(runs, field_values(store, runs, [name]), strict=True)}
    present = [run for run in runs if values[run.id] is not None]
    present.sort(key=lambda run: _order(values[run.id]), reverse=falling)
    return present + [run for run in runs if values[run.id] is None]


def _order(value: Value) -> tuple[int, float, str]:
    """Order numbers before texts; NaN after all numbers."""
    if isinstance(value, str):
        return (2, 0.0, value)
    amount = float(value or 0)
    return (1, 0.0, "") if amount != amount else (0, amount, "")  # noqa: PLR0124 - NaN differs from itself


def _close(name: str, known: set[str]) -> str:
    hint = nearest(name, sorted(known))
    return hint if "did you mean" in hint else ""
