"""A live table in a notebook; plain text where there is none."""

import sys
from collections.abc import Sequence
from html import escape
from typing import Any

from modelyard.api.progress import RunRow, Snapshot
from modelyard.api.sparkline import sparkline
from modelyard.domain.events import Event
from modelyard.domain.plan import Plan

_WIDTH, _HEIGHT = 96, 20
_COLUMNS = ("run", "state", "progress", "epoch", "train loss", "validation", "samples/s", "why")
_COLORS = {  # as readable on white as on black
    "running": "#0d849b",
    "completed": "#2b8a3e",
    "failed": "#d84343",
    "paused": "#ae6900",
    "pausing": "#ae6900",
    "stopped": "#b14dcb",
    "stopping": "#b14dcb",
    "queued": "#727988",
}


def in_notebook() -> bool:
    """Whether this process has an IPython kernel that shows HTML."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


class NotebookView:
    """Shows an experiment as an HTML table that is updated in place, with a text version for everything else."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._plan = ""
        self._message = ""

    def planned(self, plan: Plan) -> None:
        """Show the reasons of the plan above the table."""
        self._plan = " ".join(dict.fromkeys(group.reason for group in plan.groups))

    def say(self, message: str) -> None:
        """Show one line below the table until the next one."""
        self._message = message

    def update(self, snapshot: Snapshot, events: Sequence[Event]) -> None:
        """Draw a new snapshot."""
        picture = Picture(self.html(snapshot), text_table(snapshot))
        if self._handle is None:
            self._handle = _display(picture)
        elif self._handle is not _NOTHING:
            self._handle.update(picture)

    def html(self, snapshot: Snapshot) -> str:
        """Return the whole widget as HTML; every text from outside is escaped."""
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in _COLUMNS)
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(row))}</tr>" for row in snapshot.rows)
        notes = "".join(f"<div><small>{escape(note)}</small></div>" for note in (self._plan, self._message) if note)
        return f"<div><b>{escape(snapshot.name)}</b>{notes}<table><tr>{head}</tr>{body}</table></div>"


class Picture:
    """Something that a notebook shows as HTML and a terminal as text."""

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def text_table(snapshot: Snapshot) -> str:
    """Return a snapshot as plain text."""
    lines = [snapshot.name]
    for row in snapshot.rows:
        share = "" if row.fraction is None else f" {100 * row.fraction:.0f}%"
        metric = f" {row.metric} {row.value:.4g}" if row.metric and row.value is not None else ""
        curve = f" {sparkline(row.curve)}" if row.curve else ""
        lines.append(f"{row.run.name}: {row.run.state.value}{share} epoch {row.epoch_text}{curve}{metric}")
    return "\n".join(lines)


def curve_svg(values: Sequence[float]) -> str:
    """Draw values as an inline SVG line; empty for fewer than two finite values."""
    finite = [(index, value) for index, value in enumerate(values) if value - value == 0]
    if len(finite) < 2:
        return ""
    low, high = min(value for _, value in finite), max(value for _, value in finite)
    span = (high - low) or 1.0
    across = _WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{index * across:.1f},{(_HEIGHT - 1) - (value - low) / span * (_HEIGHT - 2):.1f}" for index, value in finite
    )
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' role='img' aria-label='training loss'>"
        f"<polyline points='{points}' fill='none' stroke='#1b7bd3' stroke-width='1.5'/></svg>"
    )


def _cells(row: RunRow) -> list[str]:
    run = row.run
    share = row.fraction or 0.0
    loss = run.summary.get("train_loss")
    return [
        escape(run.name),
        f"<span style='color:{_COLORS[run.state.value]}'>{run.state.value}</span>",
        f"<progress max='1' value='{share:.4f}'></progress> {100 * share:.0f}%",
        row.epoch_text,
        f"{curve_svg(row.curve)} {'' if loss is None else f'{loss:.4g}'}",
        f"{escape(row.metric)} {row.value:.4g}" if row.metric and row.value is not None else "",
        "" if row.samples_per_second is None else f"{row.samples_per_second:,.0f}",
        escape(run.why),
    ]


_NOTHING = object()


def _display(picture: Picture) -> Any:
    try:
        from IPython.display import display  # noqa: PLC0415 - optional: only a notebook has it
    except ImportError:
        return _NOTHING
    return display(picture, display_id=True) or _NOTHING
