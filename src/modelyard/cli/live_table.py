"""The rows of the live table, cut to the width of the terminal: the run, its state and epoch are never shortened."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from modelyard.api.progress import RunRow
from modelyard.api.sparkline import sparkline
from modelyard.cli.output import STATE_STYLES, duration, number
from modelyard.domain.run import ACTIVE, RunState

_REASON_STATES = frozenset({RunState.FAILED, RunState.PAUSED, RunState.STOPPED, RunState.PAUSING, RunState.STOPPING})
_NOT_SAID = frozenset({"created", "claimed", "finished"})
_LEAST_WHY = 24
"""Narrower than that, reasons are written below the table instead."""

_GAP = 2
"""Blanks between two columns: what Rich pads a table with."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which columns are drawn, and how wide those are that can shrink; 0 leaves them out."""

    why: bool = True
    how: bool = True
    rate: bool = True
    bar: int = 14
    curve: int = 24
    label: bool = True
    """The name of the validation metric before its value."""
    eta: bool = True
    loss: bool = True
    value: bool = True
    percent: bool = True


_SHRINKS: tuple[dict[str, Any], ...] = (
    {"how": False},
    {"why": False},
    {"rate": False},
    {"bar": 8},
    {"curve": 12},
    {"curve": 6},
    {"curve": 0},
    {"label": False},
    {"bar": 0},
    {"loss": False},
    {"eta": False},
    {"value": False},
    {"percent": False},
)
"""What is given up, one after the other, until the table fits."""


@dataclass(frozen=True, kw_only=True)
class _Column:
    header: str
    cells: list[RenderableType]
    width: int
    right: bool = False


def choose_layout(rows: Sequence[RunRow], width: int) -> Layout:
    """Return the richest layout that fits ``width`` columns; the poorest if none does."""
    layout = Layout()
    for shrink in ({}, *_SHRINKS):
        layout = replace(layout, **shrink)
        if _width(_columns(rows, layout)) + (_GAP + _LEAST_WHY if layout.why else 0) <= width:
            break
    return layout


def run_table(rows: Sequence[RunRow], width: int) -> Table:
    """Draw one row per run in ``width`` columns."""
    layout = choose_layout(rows, width)
    columns = _columns(rows, layout)
    left = width - _width(columns)
    grid = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for column in columns:
        folds = column.header == "run" and left < 0  # even the poorest layout is too wide
        justify = "right" if column.right else "left"
        grid.add_column(
            column.header,
            justify=justify,  # type: ignore[arg-type]
            no_wrap=not folds,
            overflow="fold",
            min_width=None if folds else column.width,
        )
    if layout.why:
        grid.add_column("why", overflow="ellipsis", no_wrap=True, max_width=left - _GAP)
    for index, row in enumerate(rows):
        cells = [column.cells[index] for column in columns]
        grid.add_row(*cells, *([Text(why(row))] if layout.why else []))
    return grid


def reasons_below(rows: Sequence[RunRow], width: int) -> list[str]:
    """Return ``run: why`` for the runs that failed or are paused, where the table has no room for the reason."""
    if choose_layout(rows, width).why:
        return []
    states = {RunState.FAILED, RunState.PAUSED}
    told = [row for row in rows if (row.run.state in states or row.run.notice or row.quiet) and why(row)]
    return [f"{row.run.name}: {why(row)}" for row in told]


def why(row: RunRow) -> str:
    """Return the reason for the run's state, where it is worth a reader's time."""
    if row.quiet:
        return row.quiet
    reason = row.run.reason
    said = row.run.notice or row.run.state in _REASON_STATES or reason.code.value not in _NOT_SAID
    return row.run.why if said else ""


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _columns(rows: Sequence[RunRow], layout: Layout) -> list[_Column]:
    found = [
        _texts("run", [Text(row.run.name) for row in rows]),
        _texts("state", [Text(row.run.state.value, style=STATE_STYLES[row.run.state]) for row in rows], least=9),
    ]
    hows = [row.run.how if row.run.state in ACTIVE else "" for row in rows]
    if layout.how and any(hows):
        found.append(_texts("execution", map(Text, hows)))
    if layout.bar:
        bars: list[RenderableType] = [
            ProgressBar(total=1.0, completed=row.fraction or 0.0, width=layout.bar) for row in rows
        ]
        found.append(_Column(header="progress", cells=bars, width=layout.bar))
    if layout.percent:
        percents = ["" if row.fraction is None else f"{100 * row.fraction:.0f}%" for row in rows]
        found.append(_texts("" if layout.bar else "done", map(Text, percents), right=True, least=4))
    found.append(_texts("epoch", [Text(row.epoch_text) for row in rows], right=True))
    if layout.loss:
        header = "train loss" if layout.curve else "loss"
        found.append(_texts(header, [Text(_loss(row, layout.curve)) for row in rows], least=layout.curve + 7))
    if layout.value:
        values = [Text(_value(row, label=layout.label)) for row in rows]
        found.append(_texts("validation" if layout.label else "val", values, right=True, least=6))
    if layout.rate:
        rates = ["" if row.samples_per_second is None else f"{row.samples_per_second:,.0f}" for row in rows]
        found.append(_texts("samples/s", map(Text, rates), right=True))
    if layout.eta:
        times = ["" if row.eta_seconds is None else duration(row.eta_seconds) for row in rows]
        found.append(_texts("ETA", map(Text, times), right=True, least=6))
    return found


def _texts(header: str, cells: Any, *, right: bool = False, least: int = 0) -> _Column:
    """Return a column as wide as its widest cell; ``least`` keeps it from jumping while values change."""
    texts = list(cells)
    width = max(least, cell_len(header), *(cell_len(text.plain) for text in texts), 0)
    return _Column(header=header, cells=texts, width=width, right=right)


def _loss(row: RunRow, curve: int) -> str:
    if not row.curve:
        return ""
    value = number(row.run.summary.get("train_loss"))
    return f"{sparkline(_thinned(row.curve, curve))} {value}" if curve else value


def _thinned(values: Sequence[float], count: int) -> list[float]:
    """Return at most ``count`` values, each the mean of its neighbours."""
    if len(values) <= count:
        return list(values)
    edges = [len(values) * index // count for index in range(count + 1)]
    groups = [values[low:high] for low, high in pairwise(edges)]
    return [sum(group) / len(group) for group in groups]


def _value(row: RunRow, *, label: bool) -> str:
    if not row.metric:
        return ""
    return f"{row.metric.removeprefix('val_')} {number(row.value)}" if label else number(row.value)
