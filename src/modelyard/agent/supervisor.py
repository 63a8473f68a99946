"""Starts engine processes for the runs of a home, restarts those that die, and requeues what they held."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from modelyard.agent.costs import known_costs
from modelyard.agent.devices import DeviceInfo, accelerators, cores
from modelyard.agent.engine_process import EngineCommand, EngineProcess
from modelyard.agent.memory_governor import MemoryGovernor
from modelyard.agent.presence import agent_kind, has_agent_of_its_own
from modelyard.agent.warm_engines import WarmEngines
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import FencedError, ModelyardError, SchemaVersionError, StorageFullError, StoreError
from modelyard.domain.plan import Execution, Group, Plan
from modelyard.domain.run import ACTIVE, Run, RunState
from modelyard.scheduler.planner import Wishes, make_plan
from modelyard.store import HEARTBEAT_SECONDS, LeaseObserver, Store
from modelyard.store.home import translated_os_errors
from modelyard.store.reserve import is_nearly_full

REAP_SECONDS = 1.0
MOST_COUNTED = 1000
"""More runs than this need not be counted to decide whether there is work."""
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
    """Whether nothing is left to do: no run is queued or active. Engines that still run are about to end."""
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
        warm: WarmEngines | None = None,
    ) -> None:
        self._store = store
        self._experiment_id = experiment_id
        self._wishes = Wishes(execution=execution, processes=processes, slots=slots)
        self._warm = warm
        self._memory = MemoryGovernor(store, self._list)
        self._observer = LeaseObserver()
        self._places: list[_Place] = []
        self._planned: set[str] = set()
        self._devices: tuple[DeviceInfo, ...] | None = None
        self._worker_id: str | None = None
        self._started = False
        self._refused = False
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

    @property
    def plan(self) -> Plan:
        """One group for each process that there may be; each group's reason is of the time when it was planned."""
        return Plan(groups=tuple(place.group for place in self._places))

    # Working.

    def start(self) -> None:
        """Requeue what dead processes held, make the plan, and start its processes."""
        self._started = True
        self._store.home.reserve.set_aside()
        self.poll()

    def poll(self) -> SupervisorStatus:
        """Look after everything once; call it at least twice a second. Raises ``MissingExtraError`` without torch.

        A home that refuses to be written (a full disk) is told in the status and tried again; engines go on meanwhile.
        """
        now = time.monotonic()
        for place in self._places:
            self._look_after(place, now)
        if now >= self._next_reap and self._started:
            self._next_reap = now + REAP_SECONDS
            with self._patience():
                self._keep_leases(now)
                self._message = self._memory.look() or self._message
        queued = self._list({RunState.QUEUED}, limit=MOST_COUNTED)
        if queued and self._worker_id is not None and not self._refused and not self._memory.is_short:
            with self._patience():
                self._staff(queued, now)
        running = self._engines()
        return SupervisorStatus(
            processes=tuple(engine.pid for engine in running),
            idle=not queued and not self._list(ACTIVE, limit=1) and not self._memory.holds,
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
        worker_id, self._worker_id, self._started = self._worker_id, None, False
        # What cannot be written now is found by the next agent: these processes are known to be dead.
        if worker_id is not None:
            with suppress(StoreError):
                self._store.leases.reap(self._observer)
            with suppress(StoreError):
                self._store.leases.unregister(worker_id)

    # The home.

    def _keep_leases(self, now: float) -> None:
        """Beat, and requeue what dead processes held. After a refusal, both must succeed before processes start."""
        if self._refused or now >= self._next_beat:
            self._beat()
            self._next_beat = now + HEARTBEAT_SECONDS
        uncollected = [place.engine.pid for place in self._places if place.engine is not None]
        self._store.leases.reap(self._observer, uncollected=uncollected)
        if self._refused:
            self._refused = False
            self._message = "the home can be written again"

    def _beat(self) -> None:
        """Show that this agent is alive; the first time, and after it was taken for dead, as a new worker."""
        try:
            if self._worker_id is not None:
                self._store.leases.heartbeat(self._worker_id)
        except FencedError:
            self._worker_id = None  # stopped with Ctrl-Z, for example; the engines speak for themselves
        if self._worker_id is None:
            self._worker_id = self._store.leases.register(kind=agent_kind(self._experiment_id))

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Put off what the home refuses now, and say so; a newer schema will never be right."""
        try:
            yield
        except SchemaVersionError:
            raise
        except StoreError as error:
            if not self._refused:  # once, not with every change of the number of bytes left
                then = "runs wait for space" if isinstance(error, StorageFullError) else "trying again"
                self._message = f"{error}; {then}"
            self._refused = True
            self._observer = LeaseObserver()  # nobody could beat meanwhile, so that silence proves nothing

    # Processes.

    def _staff(self, queued: Collection[Run], now: float) -> None:
        """Start processes for queued runs in places that are free; plan again when there are new runs."""
        if any(run.id not in self._planned for run in queued) or self._is_free(now):
            self._make_places()
        waiting = len(queued)
        for place in self._places:
            if waiting <= 0:
                return
            if place.engine is None and now >= place.start_after:
                self._launch(place, now)
                waiting -= place.group.slots

    def _is_free(self, now: float) -> bool:
        """Whether a process may be started in a place that had one: runs may have left since that was planned."""
        return any(place.engine is None and now >= place.start_after for place in self._places)

    def _make_places(self) -> None:
        """Plan for all unfinished runs. Places are added and never taken away; those with a process stay as they are.

        A run can be new: cloned, resumed, or of another experiment.
        """
        unfinished = self._list({RunState.QUEUED, *ACTIVE})
        if self._devices is None:
            self._devices = accelerators()
        specs = [run.spec for run in unfinished]
        plan = self._plan_for(specs)
        for place, group in zip(self._places, plan.groups, strict=False):
            if place.engine is None:
                place.group = group
        self._places += [_Place(group) for group in plan.groups[len(self._places) :]]
        self._planned |= {run.id for run in unfinished}

    def _plan_for(self, specs: Sequence[RunSpec]) -> Plan:
        """Plan for these runs; with equal shares of the work, if it is known how long they take."""
        devices = self._devices or ()
        names = [device.name for device in devices]
        plan = make_plan(specs, cores=cores(), devices=names, wishes=self._wishes)
        if len(plan.groups) < 2:
            return plan
        costs = known_costs(
            self._store.measurements,
            specs,
            device=next(iter(devices), None),
            processes=plan.groups[0].processes,
        )
        return make_plan(specs, cores=cores(), devices=names, wishes=self._wishes, costs=costs)

    def _launch(self, place: _Place, now: float) -> None:
        home = self._store.home
        self._launches += 1
        with translated_os_errors(home.path):
            log = home.worker_log(f"{self._worker_id}-{self._launches}")
        command = EngineCommand(
            home=home.path,
            variables=self._store.child_variables,
            experiment_id=self._experiment_id,
            agent_id=self._worker_id,
        )
        place.engine = command.start(place.group, log, self._warm)
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
        with self._patience():
            self._note_crash(engine.pid)
        place.crashes = place.crashes + 1 if now - place.started_at < SHORT_LIFE_SECONDS else 1
        if place.crashes > MOST_SHORT_LIVES and not is_nearly_full(self._store.home.path):
            raise ModelyardError(f"{self._message}; it ended so {place.crashes} times in a row, see {engine.log.name}")
        place.start_after = now + min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(place.crashes - 1, MOST_SHORT_LIVES))
        self._next_reap = 0.0

    def _note_crash(self, pid: int) -> None:
        for worker in self._store.leases.workers():
            if worker.pid == pid and worker.alive is False and worker.kind == "engine":
                self._store.leases.note_crash(worker.id, self._message)

    def _engines(self) -> Sequence[EngineProcess]:
        return [place.engine for place in self._places if place.engine is not None and place.engine.exit_code() is None]

    def _list(self, states: Collection[RunState], *, limit: int | None = None) -> list[Run]:
        runs = self._store.runs.list(experiment_id=self._experiment_id, states=states, limit=limit)
        if self._experiment_id is not None or not runs:
            return runs
        others = has_agent_of_its_own(self._store)
        return [run for run in runs if run.experiment_id not in others]
