"""Config fields against the result: points to draw, and one honest figure where there are enough runs for it."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelyard.api.comparison import Line
from modelyard.api.report.model import Effect
from modelyard.api.results import Result
from modelyard.domain.query import Value
from modelyard.domain.run import Run, RunState

LEAST_RUNS = 8
"""With fewer completed runs, chance alone gives large figures."""
_MOST_FIELDS = 12
_MOST_CATEGORIES = 24
_MOST_BINS, _RUNS_PER_BIN = 5, 4
_LOG_SPREAD = 30


def find_effects(runs: Sequence[Run], varied: Sequence[Line], found: Mapping[str, Result]) -> tuple[Effect, ...]:
    """Return the varied fields with the results of the completed runs, the strongest figure first."""
    places = [
        (index, run.id, best)
        for index, run in enumerate(runs)
        if run.state is RunState.COMPLETED and run.id in found and (best := found[run.id].best) is not None
    ]
    effects = []
    for line in varied:
        points = tuple(
            (line.values[index], best, run_id) for index, run_id, best in places if line.values[index] is not None
        )
        kinds = {value for value, _, _ in points}
        if len(kinds) > 1 and (_is_numeric(kinds) or len(kinds) <= _MOST_CATEGORIES):
            effects.append(_effect(line.name, points))
    effects.sort(key=_strength, reverse=True)
    return tuple(effects[:_MOST_FIELDS])


def _strength(effect: Effect) -> float:
    figures = (effect.correlation, effect.explained)
    return max((abs(figure) for figure in figures if figure is not None), default=-1.0)


def _effect(field: str, points: tuple[tuple[Value, float, str], ...]) -> Effect:
    values = [value for value, _, _ in points]
    numeric = _is_numeric(set(values))
    outcomes = np.array([outcome for _, outcome, _ in points])
    correlation = explained = None
    if len(points) >= LEAST_RUNS:
        correlation = _spearman(np.array(values, float), outcomes) if numeric else None
        explained = _explained(_bins(np.array(values, float)) if numeric else values, outcomes)
    return Effect(
        field=field,
        numeric=numeric,
        log=numeric and _fits_log(np.array(values, float)),
        points=points,
        correlation=correlation,
        explained=explained,
    )


def _is_numeric(values: set[Value]) -> bool:
    """Whether these are numbers with an order; two of them are no more than two groups."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) > 2 and all(math.isfinite(value) for value in numbers)


def _fits_log(values: NDArray[np.float64]) -> bool:
    """Whether the values lie evenly on a logarithmic axis rather than on a linear one."""
    if values.min() <= 0 or values.max() / values.min() < _LOG_SPREAD:
        return False
    return _offset(np.log(values)) < _offset(values)


def _offset(values: NDArray[np.float64]) -> float:
    """Return how far the median is from the middle, as a share of the range."""
    return float(abs((np.median(values) - values.min()) / np.ptp(values) - 0.5))


def _bins(values: NDArray[np.float64]) -> list[Value]:
    """Put numbers into groups: the values themselves if they are few, else neighbours in groups of equal size."""
    count = max(1, min(_MOST_BINS, len(values) // _RUNS_PER_BIN))
    if len(np.unique(values)) <= _MOST_BINS:
        return list(values.tolist())
    edges = np.quantile(values, np.linspace(0, 1, count + 1)[1:-1])
    return list(np.searchsorted(edges, values).tolist())


def _spearman(values: NDArray[np.float64], outcomes: NDArray[np.float64]) -> float | None:
    """Return the correlation of the ranks, ties at their mean rank; None if one of the two never changes."""
    first, second = _ranks(values), _ranks(outcomes)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: NDArray[np.float64] = (ends - (counts - 1) / 2)[inverse]
    return means


def _explained(values: Sequence[Value], outcomes: NDArray[np.float64]) -> float | None:
    """Return epsilon squared: the share of variance between groups, less what as many random groups would explain.

    Kelley (1935), "An unbiased correlation ratio measure". None if it cannot be told: one group, or one for each run.
    """
    groups: dict[Value, list[float]] = {}
    for value, outcome in zip(values, outcomes.tolist(), strict=True):
        groups.setdefault(value, []).append(outcome)
    freedom = len(outcomes) - len(groups)
    if freedom <= 0 or len(groups) < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers near the largest there is, nothing can be said
        total = _squares(outcomes) / (len(outcomes) - 1)
        within = sum(_squares(np.array(group)) for group in groups.values()) / freedom
    return max(0.0, 1 - within / total) if 0 < total < math.inf else None


def _squares(values: NDArray[np.float64]) -> float:
    """Return the sum of the squared distances from the mean."""
    return float(((values - values.mean()) ** 2).sum())
