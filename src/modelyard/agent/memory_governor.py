"""Keeps the machine from swapping: pauses runs that matter least while memory is short, and lets them go on later."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import psutil

from modelyard.domain.control import Pause, Resume
from modelyard.domain.errors import ConflictError, NotFoundError
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.store import Store

ACTOR = "memory"
"""Who asks, in events and requests."""
LOW_SHARE = 0.05
"""Of the machine's memory: with less than that available, it is short."""
HIGH_SHARE = 0.15
"""With at least that available, a run that was paused may go on."""
LOW_SECONDS = 2.0
"""How long it has to be short before a run is paused: a peak of a moment ends by itself."""
AGAIN_SECONDS = 10.0
"""After a pause, how long until the next one: memory comes back when the checkpoint is written."""
HIGH_SECONDS = 30.0
"""How long there has to be enough before a run goes on; doubled with each time that it was too early."""
LONGEST_HIGH_SECONDS = 1800.0


@dataclass(frozen=True)
class Memory:
    """The machine's memory, in bytes."""

    available: int
    total: int


def read_memory() -> Memory:
    """Return how much there is; what caches hold counts as available."""
    found = psutil.virtual_memory()
    return Memory(available=found.available, total=found.total)


class MemoryGovernor:
    """Looks at the memory each time it is asked to. What it paused is in the store: any agent goes on with it."""

    def __init__(
        self,
        store: Store,
        runs: Callable[[Collection[RunState]], list[Run]],
        *,
        read: Callable[[], Memory] = read_memory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``runs`` returns those in some states that this agent looks after."""
        self._store = store
        self._runs = runs
        self._read = read
        self._clock = clock
        self._low_since: float | None = None
        self._high_since: float | None = None
        self._next_pause = 0.0
        self._patience = HIGH_SECONDS
        self.is_short = False
        """Whether nothing more should be started now."""
        self.holds = True
        """Whether a run may be paused for memory, and will go on; at first nobody knows."""

    def look(self) -> str:
        """Pause or resume a run if that is due; return what a person should know, or an empty string."""
        now, memory = self._clock(), self._read()
        share = memory.available / memory.total
        self.is_short = share < LOW_SHARE
        self._low_since = (self._low_since or now) if self.is_short else None
        self._high_since = (self._high_since or now) if share >= HIGH_SHARE else None
        if self._low_since is not None and now - self._low_since >= LOW_SECONDS and now >= self._next_pause:
            return self._pause(memory, now)
        if self.holds and not self._held():
            self.holds = False
            self._patience = HIGH_SECONDS
        if self.holds and self._high_since is not None and now - self._high_since >= self._patience:
            return self._resume(now)
        return ""

    def _held(self) -> list[Run]:
        return [run for run in self._runs({RunState.PAUSED, RunState.PAUSING}) if run.reason.code is ReasonCode.MEMORY]

    def _pause(self, memory: Memory, now: float) -> str:
        training = self._runs({RunState.RUNNING})
        if not training:
            return ""
        least = min(training, key=lambda run: (run.priority, -run.created_at.timestamp()))
        why = (
            f"paused with a checkpoint, since only {memory.available >> 20} of {memory.total >> 20} MiB of memory were "
            "available; it goes on by itself when there is more"
        )
        self._next_pause = now + AGAIN_SECONDS
        self._patience = min(LONGEST_HIGH_SECONDS, 2 * self._patience)
        self.holds = True
        return f"{least.name} is {why}" if self._ask(least, Pause(reason=why)) else ""

    def _resume(self, now: float) -> str:
        paused = [run for run in self._held() if run.state is RunState.PAUSED]
        if not paused:
            return ""
        first = max(paused, key=lambda run: (run.priority, -run.created_at.timestamp()))
        self._high_since = now  # the next one when this has shown what it takes
        return f"{first.name} goes on: there is memory again" if self._ask(first, Resume()) else ""

    def _ask(self, run: Run, op: Pause | Resume) -> bool:
        """Ask something of a run; False if it has ended, or somebody was faster."""
        try:
            self._store.runs.request(run.id, op, actor=ACTOR)
        except (ConflictError, NotFoundError):
            return False
        return True
