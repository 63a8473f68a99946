"""The curves of one metric of several runs, as text."""

import shutil
from collections.abc import Sequence

from modelyard.cli.chart import Curve, draw
from modelyard.domain.run import Run
from modelyard.store import Store


def metric_chart(
    store: Store, runs: Sequence[Run], metric: str, *, width: int | None = None, height: int = 16
) -> list[str]:
    """Return the lines of a chart, by default as wide as the terminal; every run has the metric."""
    columns = width or shutil.get_terminal_size().columns
    charts = store.metrics.chart([run.id for run in runs], metric, buckets=columns * 2)
    curves = [Curve(run.name, charts[run.id].steps.tolist(), charts[run.id].mean.tolist()) for run in runs]
    return [metric, *draw(curves, width=columns, height=height)]
