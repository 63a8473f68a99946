"""Stands in for a supervisor while an agent of the whole home trains: looks on, and takes over if that ends."""

import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from modelyard.agent.presence import describe, home_agent
from modelyard.agent.supervisor import Supervisor, SupervisorStatus
from modelyard.domain.plan import Plan
from modelyard.domain.run import ACTIVE, RunState
from modelyard.store import Store

LOOK_SECONDS = 1.0


class Onlooker:
    """Trains nothing as long as there is an agent; then what ``make`` returns trains. A context manager."""

    def __init__(self, store: Store, experiment_id: str, make: Callable[[], Supervisor]) -> None:
        self._store = store
        self._experiment_id = experiment_id
        self._make = make
        self._own: Supervisor | None = None
        self._message = ""
        self._next_look = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is not None:
            self._own.stop()

    @property
    def plan(self) -> Plan:
        """What this process does: nothing, before it took over."""
        return Plan(groups=()) if self._own is None else self._own.plan

    def start(self) -> None:
        """Look who trains."""
        self._look()

    def poll(self) -> SupervisorStatus:
        """Look after everything once, as a supervisor does."""
        if self._own is None and time.monotonic() >= self._next_look:
            self._look()
        if self._own is not None:
            return self._own.poll()
        left = self._has({RunState.QUEUED}) or self._has(ACTIVE)
        return SupervisorStatus(processes=(), idle=not left, message=self._message)

    def kill(self) -> None:
        """End what this process started; the agent goes on."""
        if self._own is not None:
            self._own.kill()

    def _look(self) -> None:
        self._next_look = time.monotonic() + LOOK_SECONDS
        agent = home_agent(self._store)
        if agent is not None:
            self._message = f"{describe(agent)} trains what is queued in this home"
        else:
            self._own = self._make()
            self._own.start()

    def _has(self, states: Collection[RunState]) -> bool:
        return bool(self._store.runs.list(experiment_id=self._experiment_id, states=states, limit=1))
