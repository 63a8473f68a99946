"""The live table of ``modelyard train``: redrawn four times a second, as tall as the terminal allows."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from modelyard.api.progress import RunRow, Snapshot
from modelyard.api.sparkline import sparkline
from modelyard.cli.output import STATE_STYLES, duration, number
from modelyard.domain.events import Event
from modelyard.domain.plan import Plan
from modelyard.domain.run import ACTIVE, RunState

REFRESHES_PER_SECOND = 4
_LINES_AROUND = 6
"""Lines of the terminal that are not rows: title, header, summary, messages."""
_ORDER = {
    state: place
    for place, state in enumerate(
        [
            RunState.RUNNING,
            RunState.PAUSING,
            RunState.STOPPING,
            RunState.FAILED,
            RunState.QUEUED,
            RunState.PAUSED,
            RunState.COMPLETED,
            RunState.STOPPED,
        ]
    )
}
_REASON_STATES = frozenset({RunState.FAILED, RunState.PAUSED, RunState.STOPPED, RunState.PAUSING, RunState.STOPPING})
_NOT_SAID = frozenset({"created", "claimed", "finished"})


class LiveView:
    """Shows an experiment as a table that is kept up to date. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=False)
        self._message = ""
        self._plan = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def planned(self, plan: Plan) -> None:
        """Show the reasons of the plan under the table."""
        self._plan = "\n".join(dict.fromkeys(group.reason for group in plan.groups))

    def update(self, snapshot: Snapshot, events: Sequence[Event]) -> None:
        """Draw a new snapshot."""
        self._live.update(self.render(snapshot))

    def say(self, message: str) -> None:
        """Show one line under the table until the next one."""
        self._message = message

    def render(self, snapshot: Snapshot) -> RenderableType:
        """Return what is drawn for ``snapshot``."""
        room = max(3, self._console.size.height - _LINES_AROUND)
        rows = visible_rows(snapshot.rows, room)
        parts: list[RenderableType] = [run_table(rows)]
        hidden = len(snapshot.rows) - len(rows)
        if hidden:
            parts.append(Text(f"… and {hidden} more: modelyard runs list --experiment {snapshot.name}", style="dim"))
        parts.append(Text(summary(snapshot), style="bold"))
        if self._plan and snapshot.count(RunState.RUNNING, RunState.QUEUED):
            parts.append(Text(self._plan, style="dim"))
        if snapshot.count(RunState.QUEUED) and not snapshot.count(*ACTIVE):
            parts.append(Text("starting engine processes: loading torch takes some seconds", style="dim"))
        if self._message:
            parts.append(Text(self._message, style="yellow"))
        return Group(*parts)


def visible_rows(rows: Sequence[RunRow], room: int) -> list[RunRow]:
    """Pick the rows that fit: those in training first, then by what is most worth seeing; in order of creation."""
    if len(rows) <= room:
        return list(rows)
    ranked = sorted(range(len(rows)), key=lambda index: (_ORDER[rows[index].run.state], index))
    return [rows[index] for index in sorted(ranked[: room - 1])]


def run_table(rows: Sequence[RunRow]) -> Table:
    """Draw one row per run."""
    grid = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for name in ("run", "state", "progress"):
        grid.add_column(name, no_wrap=True)
    for name in ("", "epoch"):
        grid.add_column(name, no_wrap=True, justify="right")
    grid.add_column("train loss", no_wrap=True)
    for name in ("validation", "samples/s", "ETA"):
        grid.add_column(name, no_wrap=True, justify="right")
    grid.add_column("why", overflow="ellipsis", no_wrap=True, ratio=1)
    for row in rows:
        grid.add_row(*_cells(row))
    return grid


def summary(snapshot: Snapshot) -> str:
    """Say how many runs are in which state, how long it has taken and will take."""
    counts = [f"{count} {state.value}" for state in _ORDER if (count := snapshot.count(state))]
    eta = f" · {duration(snapshot.eta_seconds)} left" if snapshot.eta_seconds is not None else ""
    return f"{snapshot.name}: {', '.join(counts)} · {duration(snapshot.elapsed)}{eta}"


def why(row: RunRow) -> str:
    """Return the reason for the run's state, where it is worth a reader's time."""
    reason = row.run.reason
    said = row.run.state in _REASON_STATES or reason.code.value not in _NOT_SAID
    return " ".join(reason.message.split()) if said else ""


def _cells(row: RunRow) -> list[RenderableType]:
    run = row.run
    losses = f"{sparkline(row.curve)} {number(run.summary.get('train_loss'))}" if row.curve else ""
    return [
        escape(run.name),
        Text(run.state.value, style=STATE_STYLES[run.state]),
        ProgressBar(total=1.0, completed=row.fraction or 0.0, width=14),
        "" if row.fraction is None else f"{100 * row.fraction:.0f}%",
        f"{run.epoch}/{row.epochs}",
        Text(losses),
        Text(f"{row.metric.removeprefix('val_')} {number(row.value)}" if row.metric else ""),
        "" if row.samples_per_second is None else f"{row.samples_per_second:,.0f}",
        "" if row.eta_seconds is None else duration(row.eta_seconds),
        Text(why(row)),
    ]
