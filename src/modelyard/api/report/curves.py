"""Learning curves: which metrics are drawn, and their histories in few buckets."""

import math
from collections.abc import Sequence

from modelyard.api.report.model import Curve, Panel
from modelyard.api.results import metric_names
from modelyard.domain.parts.metrics import better_mode
from modelyard.domain.run import Run
from modelyard.store import Store
from modelyard.store.metrics import ChartSeries

MOST_CURVES = 64
"""Runs with curves; of more than these, the best."""
_MOST_PANELS = 8
_BUCKETS_IN_ALL = 40_000
_MOST_BUCKETS, _LEAST_BUCKETS = 240, 64
_LOG_SPREAD = 30
"""A logarithmic axis fits where the highest value is so many times the lowest."""
_SCALE_FREE = frozenset({"learning_rate", "grad_norm"})
_LAST = ("learning_rate", "grad_norm")


def choose_panels(runs: Sequence[Run], metric: str | None, asked: Sequence[str]) -> list[str]:
    """Return the metrics to draw: those asked for, else the one to judge by, losses, other validation, the rest.

    Figures of single classes and speeds are drawn only if asked for.
    """
    if asked:
        return list(dict.fromkeys(asked))
    known = [name for name in metric_names(runs) if "/" not in name]
    wanted = [metric, "val_loss", "train_loss", *(name for name in known if name.startswith(("val_", "train_")))]
    found = [name for name in dict.fromkeys(wanted) if name in known]
    room = _MOST_PANELS - len([name for name in _LAST if name in known])
    return found[:room] + [name for name in _LAST if name in known]


def read_panels(store: Store, runs: Sequence[Run], metrics: Sequence[str]) -> tuple[Panel, ...]:
    """Read the curves of some runs; a fixed number of queries per metric."""
    each = _BUCKETS_IN_ALL // max(1, len(runs) * len(metrics))
    buckets = max(_LEAST_BUCKETS, min(_MOST_BUCKETS, each))
    ids = [run.id for run in runs]
    return tuple(_panel(metric, store.metrics.chart(ids, metric, buckets=buckets)) for metric in metrics)


def _panel(metric: str, charts: dict[str, ChartSeries]) -> Panel:
    curves = tuple(_curve(run_id, chart) for run_id, chart in charts.items())
    width = next((chart.width for chart in charts.values()), 1)
    return Panel(metric=metric, width=width, log=_fits_log(metric, curves), curves=curves)


def _curve(run_id: str, chart: ChartSeries) -> Curve:
    return Curve(
        run_id=run_id,
        steps=tuple(chart.steps.tolist()),
        minimum=tuple(chart.minimum.tolist()),
        maximum=tuple(chart.maximum.tolist()),
        mean=tuple(chart.mean.tolist()),
    )


def _fits_log(metric: str, curves: Sequence[Curve]) -> bool:
    if better_mode(metric) != "min" and metric not in _SCALE_FREE:
        return False
    values = [value for curve in curves for value in (*curve.minimum, *curve.maximum) if math.isfinite(value)]
    positive = [value for value in values if value > 0]
    # A schedule that ends at zero is no reason against it: that point alone is left out.
    if not positive or len(positive) < len(values) * (0.9 if metric in _SCALE_FREE else 1.0):
        return False
    return max(positive) / min(positive) >= _LOG_SPREAD
