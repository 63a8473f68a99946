"""Progress as plain lines, for pipes and log files: one line per change of state and per epoch."""

from collections.abc import Sequence
from typing import IO, TypeGuard

from modelyard.api.progress import RunRow, Snapshot
from modelyard.cli.output import duration, number
from modelyard.domain.events import AttemptStarted, Event, EventPayload, ExecutionChanged, PastShared, RunStateChanged
from modelyard.domain.plan import Execution, Plan
from modelyard.domain.run import Run


class PlainView:
    """Writes lines to a file; each is flushed, so that a reader of a pipe sees it at once."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._epochs: dict[str, int] = {}
        self._notices: dict[str, str] = {}
        self._executions: dict[str, str] = {}
        self._quiet: set[str] = set()

    def planned(self, plan: Plan) -> None:
        """Write one line for each reason of the plan."""
        for reason in dict.fromkeys(group.reason for group in plan.groups):
            self.say(f"plan: {reason}")

    def update(self, snapshot: Snapshot, events: Sequence[Event]) -> None:
        """Write what changed since the last snapshot."""
        rows = {row.run.id: row for row in snapshot.rows}
        for row in snapshot.rows:
            if row.run.epoch > self._epochs.setdefault(row.run.id, row.run.epoch):
                self._epochs[row.run.id] = row.run.epoch
                self.say(_epoch_line(row))
            self._tell_notice(row)
            self._tell_quiet(row)
        for event in events:
            changed = rows.get(event.run_id or "")
            if changed is not None and isinstance(event.payload, RunStateChanged):
                self.say(f"{changed.run.name}: {event.payload.after.value} ({event.payload.reason.message})")
            if changed is not None and isinstance(event.payload, PastShared):
                self.say(f"{changed.run.name}: first {event.payload.steps:,} steps shared with {event.payload.name}")
            if changed is not None and _tells_execution(event.payload):
                self._tell_execution(changed.run, event.payload)

    def _tell_execution(self, run: Run, changed: AttemptStarted | ExecutionChanged) -> None:
        """Say once for all runs of a structure how they train from now on."""
        if self._executions.get(run.structure) != changed.execution:
            self._executions[run.structure] = changed.execution
            why = f" ({changed.reason})" if changed.reason else ""
            self.say(f"{run.name} and others like it: {changed.execution}{why}")

    def _tell_notice(self, row: RunRow) -> None:
        before = self._notices.get(row.run.id, "")
        self._notices[row.run.id] = row.run.notice
        if bool(before) != bool(row.run.notice):
            self.say(f"{row.run.name}: {row.run.why if row.run.notice else 'going on'}")

    def _tell_quiet(self, row: RunRow) -> None:
        """Say once, each time, that nothing moves."""
        if row.quiet and row.run.id not in self._quiet:
            self.say(f"{row.run.name}: {row.quiet}")
        (self._quiet.add if row.quiet else self._quiet.discard)(row.run.id)

    def say(self, message: str) -> None:
        """Write one line."""
        print(message, file=self._file, flush=True)


def _tells_execution(payload: EventPayload) -> TypeGuard[AttemptStarted | ExecutionChanged]:
    """Whether an event tells how a run trains beyond what the plan said."""
    if isinstance(payload, AttemptStarted):
        return payload.execution == Execution.COMPILED
    return isinstance(payload, ExecutionChanged)


def _epoch_line(row: RunRow) -> str:
    metrics = dict.fromkeys(name for name in ("train_loss", "val_loss", row.metric) if name and name in row.run.summary)
    parts = [f"epoch {row.epoch_text}", *(f"{name} {number(row.run.summary[name])}" for name in metrics)]
    if row.eta_seconds is not None:
        parts.append(f"{duration(row.eta_seconds)} left")
    return f"{row.run.name}: {', '.join(parts)}"
