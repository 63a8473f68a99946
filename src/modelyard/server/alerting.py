"""Looks which runs match the rules for alerts, and sends what is due, in a thread of its own."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from modelyard.api.tuned import tuned_fields
from modelyard.domain.alerts import KeptRule
from modelyard.domain.errors import NotFoundError, StoreError
from modelyard.domain.query import run_fields
from modelyard.domain.query_parser import parse
from modelyard.domain.run import ACTIVE, Run
from modelyard.server.channels import ChannelError, Message, send
from modelyard.store import Store, clock
from modelyard.store.alerts import Due

LOOK_SECONDS = 2.0
PAUSES = (10, 60, 600)
"""Seconds until an alert that did not arrive is tried again; after the last one it is given up."""
EVENTS_AT_ONCE = 1_000

_log = logging.getLogger(__name__)


class AlertKeeper:
    """A context manager: while it is open, alerts are looked for and sent."""

    def __init__(self, store: Store, *, deliver: Callable[[Due], None] | None = None) -> None:
        self._store = store
        self._deliver = deliver or self._send
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="alert-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def look(self) -> None:
        """Look once at what happened, and send what is due."""
        rules = self._store.alerts.rules()
        if rules:
            self._match(rules)
            while not self._done.is_set() and (due := self._store.alerts.take_due()) is not None:
                self._try(due)

    def _keep(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            try:
                self.look()
            except StoreError as error:
                _log.warning("alerts wait: %s", error)
            except Exception:  # noqa: BLE001 - a thread of its own: a mistake of ours must not end all alerts
                _log.exception("alerts go on")

    def _match(self, rules: Sequence[KeptRule]) -> None:
        """Compare the runs that are in training, and those of which something happened, with all rules."""
        after = min(rule.seq for rule in rules)
        events = self._store.events.read(after=after, limit=EVENTS_AT_ONCE)
        runs = {run.id: run for run in self._store.runs.list(states=ACTIVE)}
        for run_id in {event.run_id for event in events if event.run_id is not None} - runs.keys():
            if (run := self._find(run_id)) is not None:
                runs[run_id] = run
        if runs:
            tuned = tuned_fields(self._store, list(runs.values()))
            fields = {run.id: run_fields(run, tuned.get(run.id)) for run in runs.values()}
            for rule in rules:
                condition, known = parse(rule.rule.where), self._store.alerts.known(rule.id)
                for run in runs.values():
                    if run.id not in known and condition.matches(fields[run.id]):
                        self._store.alerts.tell(rule.id, run, describe(rule, run))
        if events:
            self._store.alerts.looked([rule.id for rule in rules], events[-1].seq)

    def _find(self, run_id: str) -> Run | None:
        try:
            return self._store.runs.get(run_id)
        except NotFoundError:
            return None

    def _try(self, due: Due) -> None:
        try:
            self._deliver(due)
        except ChannelError as error:
            attempts = due.alert.attempts
            again = None if attempts > len(PAUSES) else clock.now() + timedelta(seconds=PAUSES[attempts - 1])
            self._store.alerts.failed(due.alert, str(error), again_at=again)
        else:
            self._store.alerts.sent(due.alert)

    def _send(self, due: Due) -> None:
        alert = due.alert
        message = Message(
            title=f"Modelyard: {due.rule.name}",
            text=alert.text,
            fields={"rule": due.rule.name, "run": alert.run, "run_id": alert.run_id, "time": alert.time.isoformat()},
        )
        send(due.rule.to, message, secrets=self._store.vault.environment())


def describe(rule: KeptRule, run: Run) -> str:
    """Return one sentence on a run that matches a rule."""
    reason = f": {run.reason.message}" if run.reason.message else ""
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(run.summary.items())[:6] if value is not None)
    return f"{run.name} is {run.state.value}{reason} ({rule.rule.where})" + (f"; {metrics}" if metrics else "")
