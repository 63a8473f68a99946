"""Starts engine processes for the runs of a home, restarts those that die, and requeues what they held."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from modelyard.agent.devices import accelerators, cores
from modelyard.agent.engine_process import EngineCommand, EngineProcess
from modelyard.agent.presence import agent_kind
from modelyard.domain.errors import ModelyardError
from modelyard.domain.plan import Execution, Group, Plan
from modelyard.domain.run import ACTIVE, RunState
from modelyard.scheduler.planner import Wishes, make_plan
from modelyard.store import LeaseObserver, Store

REAP_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
SHORT_LIFE_SECONDS = 10.0
"""A process that crashes sooner than this after its start is started again only after a growing pause."""
LONGEST_PAUSE_SECONDS = 30.0
MOST_SHORT_LIVES = 8
"""After so many crashes in a row the supervisor gives up; the runs stay as they are."""


@dataclass(frozen=True, kw_only=True)
class SupervisorStatus:
    """What ``poll`` saw."""

    processes: tuple[int, ...]
    """Process ids of the engines that run."""
    idle: bool
    """Whether nothing is left to do: no process, and no run that is queued or active."""
    message: str = ""
    """The newest thing that a person should know, such as why a process ended."""


@dataclass
class _Place:
    """One group of the plan and the process that works on it."""

    group: Group
    engine: EngineProcess | None = None
    started_at: float = 0.0
    start_after: float = 0.0
    crashes: int = 0


class Supervisor:
    """Keeps one engine process alive for each group of the plan, as long as there is work. A context manager."""

    def __init__(
        self,
        store: Store,
        *,
        experiment_id: str | None = None,
        execution: Execution | None = None,
        processes: int | None = None,
        slots: int | None = None,
    ) -> None:
        self.plan = Plan(groups=())
        self._store = store
        self._experiment_id = experiment_id
        self._wishes = Wishes(execution=execution, processes=processes, slots=slots)
        self._observer = LeaseObserver()
        self._places: list[_Place] = []
        self._worker_id: str | None = None
        self._launches = 0
        self._message = ""
        self._next_reap = 0.0
        self._next_beat = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Working.

    def start(self) -> None:
        """Requeue what dead processes held, make the plan, and start its processes."""
        self._worker_id = self._store.leases.register(kind=agent_kind(self._experiment_id))
        self._store.leases.reap(self._observer)
        self.poll()

    def poll(self) -> SupervisorStatus:
        """Look after everything once; call it at least twice a second. Raises ``MissingExtraError`` without torch."""
        now = time.monotonic()
        for place in self._places:
            self._look_after(place, now)
        if now >= self._next_reap:
            self._next_reap = now + REAP_SECONDS
            self._store.leases.reap(self._observer)
        if now >= self._next_beat and self._worker_id is not None:
            self._next_beat = now + HEARTBEAT_SECONDS
            self._store.leases.heartbeat(self._worker_id)
        queued = self._count({RunState.QUEUED})
        if queued:
            self._staff(queued, now)
        running = self._engines()
        return SupervisorStatus(
            processes=tuple(engine.pid for engine in running),
            idle=not running and not queued and not self._count(ACTIVE),
            message=self._message,
        )

    def stop(self, *, timeout: float = 30.0) -> None:
        """Have the engines save and queue their runs and end; kill those that do not within ``timeout`` seconds."""
        for engine in self._engines():
            engine.ask_to_end()
        deadline = time.monotonic() + timeout
        for engine in self._engines():
            engine.wait(max(0.0, deadline - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End the engines at once; their runs go on from their newest checkpoints when they are claimed again."""
        for place in self._places:
            if place.engine is not None:
                place.engine.kill()
                place.engine.wait()
                place.engine.close()
                place.engine = None
        if self._worker_id is not None:
            self._store.leases.reap(self._observer)
            self._store.leases.unregister(self._worker_id)
            self._worker_id = None

    # Processes.

    def _staff(self, queued: int, now: float) -> None:
        """Start processes for queued runs in places that are free."""
        if not self._places:
            self._make_places()
        for place in self._places:
            if queued <= 0:
                return
            if place.engine is None and now >= place.start_after:
                self._launch(place, now)
                queued -= place.group.slots

    def _make_places(self) -> None:
        unfinished = self._store.runs.list(experiment_id=self._experiment_id, states={RunState.QUEUED, *ACTIVE})
        self.plan = make_plan(unfinished, cores=cores(), devices=accelerators(), wishes=self._wishes)
        self._places = [_Place(group) for group in self.plan.groups]

    def _launch(self, place: _Place, now: float) -> None:
        home = self._store.home
        self._launches += 1
        log = home.worker_log(f"{self._worker_id}-{self._launches}")
        command = EngineCommand(
            home=home.path, database_url=self._store.database_url, experiment_id=self._experiment_id
        )
        place.engine = command.start(place.group, log)
        place.started_at = now

    def _look_after(self, place: _Place, now: float) -> None:
        """Notice that a process ended; if it crashed, say why, and pause before the next start."""
        engine = place.engine
        if engine is None or engine.exit_code() is None:
            return
        place.engine = None
        engine.close()
        if engine.exit_code() == 0:
            place.crashes = 0
            return
        startup_error = engine.startup_error()
        if startup_error is not None:
            raise startup_error
        self._message = engine.describe_end()
        self._note_crash(engine.pid)
        place.crashes = place.crashes + 1 if now - place.started_at < SHORT_LIFE_SECONDS else 1
        if place.crashes > MOST_SHORT_LIVES:
            raise ModelyardError(f"{self._message}; it ended so {place.crashes} times in a row, see {engine.log.name}")
        place.start_after = now + min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** (place.crashes - 1))
        self._next_reap = 0.0

    def _note_crash(self, pid: int) -> None:
        for worker in self._store.leases.workers():
            if worker.pid == pid and worker.alive is False and worker.kind == "engine":
                self._store.leases.note_crash(worker.id, self._message)

    def _engines(self) -> Sequence[EngineProcess]:
        return [place.engine for place in self._places if place.engine is not None and place.engine.exit_code() is None]

    def _count(self, states: frozenset[RunState] | set[RunState]) -> int:
        return len(self._store.runs.list(experiment_id=self._experiment_id, states=states, limit=1000))
