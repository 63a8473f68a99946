"""The live table of ``modelyard train``: redrawn four times a second, as tall as the terminal allows."""

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from modelyard.api.progress import RunRow, Snapshot
from modelyard.cli.live_table import reasons_below, run_table
from modelyard.cli.output import duration
from modelyard.domain.events import Event
from modelyard.domain.plan import Execution, Plan
from modelyard.domain.run import ACTIVE, RunState

REFRESHES_PER_SECOND = 4
_LINES_AROUND = 2
"""Lines of the terminal that are neither rows nor below them: the table's header, and one that stays free."""
_LEAST_ROWS = 3
_MOST_REASONS = 3
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
        """Return what is drawn for ``snapshot``: as many rows as what stands below them leaves room for."""
        width, height = self._console.size
        below = self._below(snapshot, width)
        taken = sum(len(self._console.render_lines(part, pad=False)) for part in below)
        rows = visible_rows(snapshot.rows, max(_LEAST_ROWS, height - taken - _LINES_AROUND))
        parts: list[RenderableType] = [run_table(rows, width)]
        hidden = len(snapshot.rows) - len(rows)
        if hidden:
            hint = f"… and {hidden} more: modelyard runs list --experiment {snapshot.name}"
            parts.append(Text(hint, style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts, *below)

    def _below(self, snapshot: Snapshot, width: int) -> list[Text]:
        """Return the lines under the table; long ones wrap."""
        lines = [Text(summary(snapshot), style="bold")]
        if groups := executions(snapshot):
            lines.append(Text(groups))
        reasons = reasons_below(snapshot.rows, width)
        lines += [Text(reason, style="red") for reason in reasons[:_MOST_REASONS]]
        if self._plan and snapshot.count(RunState.RUNNING, RunState.QUEUED):
            lines.append(Text(self._plan, style="dim"))
        if snapshot.count(RunState.QUEUED) and not snapshot.count(*ACTIVE):
            lines.append(Text("starting engine processes: loading torch takes some seconds", style="dim"))
        if self._message:
            lines.append(Text(self._message, style="yellow"))
        return lines


def visible_rows(rows: Sequence[RunRow], room: int) -> list[RunRow]:
    """Pick the rows that fit: those in training first, then by what is most worth seeing; in order of creation."""
    if len(rows) <= room:
        return list(rows)
    ranked = sorted(range(len(rows)), key=lambda index: (_ORDER[rows[index].run.state], index))
    return [rows[index] for index in sorted(ranked[: room - 1])]


def executions(snapshot: Snapshot) -> str:
    """Say how the runs in training train, where some train as one model, or compiled."""
    hows = Counter(row.run.how for row in snapshot.rows if row.run.state in ACTIVE and row.run.how)
    training = [row.run for row in snapshot.rows if row.run.state in ACTIVE]
    if all(run.stack_size < 2 and run.execution != Execution.COMPILED for run in training):
        return ""
    return "training: " + ", ".join(f"{count} run{'s' * (count > 1)} {how}" for how, count in hows.most_common())


def summary(snapshot: Snapshot) -> str:
    """Say how many runs are in which state, how long it has taken and will take."""
    counts = [f"{count} {state.value}" for state in _ORDER if (count := snapshot.count(state))]
    least = "at least " * snapshot.more_may_come
    eta = f" · {least}{duration(snapshot.eta_seconds)} left" if snapshot.eta_seconds is not None else ""
    return f"{snapshot.name}: {', '.join(counts)} · {duration(snapshot.elapsed)}{eta}"
