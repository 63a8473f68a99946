"""What the devices of this home's machines do, and which runs train on them."""

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import psutil

from modelyard.domain.device import FIGURES, Device
from modelyard.domain.events import AttemptStarted, Event, RunStateChanged
from modelyard.domain.run import ACTIVE, Run
from modelyard.store import Store, WorkerInfo, clock
from modelyard.store.device_history import READING_SECONDS, TOGETHER, Floats, History
from modelyard.store.devices import Machine
from modelyard.store.processes import current_process

STALE_SECONDS = 4 * READING_SECONDS
"""Older figures are of the past: nobody reads the device any more."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """An engine process at work."""

    pid: int
    memory: int | None
    """Resident bytes; None for one of another machine, or one that has just ended."""
    runs: Sequence[Run]


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    """A device, and what was read of it last."""

    host: str
    device: Device
    seen_at: datetime | None
    """When it was read last, by the wall clock of then."""
    age_seconds: float | None
    """How long ago that is; a jump of the clock does not change it on this machine."""
    figures: Mapping[str, float]
    processes: Sequence[Process]

    @property
    def is_stale(self) -> bool:
        """Whether the figures are of the past."""
        return self.age_seconds is None or self.age_seconds > STALE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time in which a run trained on a device."""

    device: str
    attempt: int
    start: datetime
    end: datetime | None
    """None if it trains there now."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Figures of a device for drawing."""

    times: Sequence[float]
    """Seconds since 1970, growing."""
    figures: Mapping[str, Sequence[float | None]]
    """None where there is a gap, or where it could not be read."""


def device_states(store: Store) -> list[DeviceState]:
    """Return all devices of all machines that an agent of this home works or worked on, those of this host first."""
    processes = _processes(store)
    found = []
    for machine in sorted(store.devices.machines(), key=lambda one: (one.host != socket.gethostname(), one.host)):
        for device in machine.devices:
            history = store.devices.history(machine.host, device.name)
            last = {name: float(values[-1]) for name, values in history.figures.items() if len(values)}
            found.append(
                DeviceState(
                    host=machine.host,
                    device=device,
                    seen_at=_seen_at(history),
                    age_seconds=_age(machine, history),
                    figures={name: value for name, value in last.items() if not np.isnan(value)},
                    processes=processes.get((machine.host, device.name), ()),
                )
            )
    return found


def troubles(store: Store) -> dict[str, str]:
    """Return why accelerators of a machine could not be looked for, by host."""
    return {machine.host: machine.trouble for machine in store.devices.machines() if machine.trouble}


def curve(store: Store, host: str, device: str, *, start: float, end: float, buckets: int) -> Curve:
    """Return what a device did between two moments (seconds since 1970), as means of at most so many spans."""
    return _drawn(store.devices.history(host, device).between(start, end), buckets)


def spans_of(store: Store, run: Run) -> list[Span]:
    """Return when a run trained on which devices, oldest first."""
    found: list[Span] = []
    begun: Event | None = None
    for event in store.events.about(["run.attempt_started", "run.state_changed"], run_ids=[run.id]):
        if isinstance(event.payload, AttemptStarted):
            begun = event
        elif isinstance(event.payload, RunStateChanged) and event.payload.after not in ACTIVE and begun is not None:
            found.append(_span(begun, event.time))
            begun = None
    return found if begun is None else [*found, _span(begun, None)]


def _span(begun: Event, end: datetime | None) -> Span:
    assert isinstance(begun.payload, AttemptStarted)
    return Span(device=begun.payload.device, attempt=begun.payload.attempt, start=begun.time, end=end)


def _seen_at(history: History) -> datetime | None:
    return datetime.fromtimestamp(float(history.times[-1]), UTC) if len(history.times) else None


def _age(machine: Machine, history: History) -> float | None:
    """Return the seconds since the newest reading, where possible by the time since the boot, which does not jump."""
    if history.uptime is None:
        return None
    me = current_process()
    if (machine.host, machine.boot_id) == (me.host, me.boot_id):
        return max(0.0, time.monotonic() - history.uptime)
    return max(0.0, clock.now().timestamp() - float(history.times[-1]))


def _processes(store: Store) -> dict[tuple[str, str], list[Process]]:
    """Return the engine processes that train something, by host and device."""
    active = {run.id: run for run in store.runs.list(states=ACTIVE)}
    if not active:
        return {}
    on: dict[str, str] = {}
    for event in store.events.about(["run.attempt_started"], run_ids=list(active)):
        if event.run_id is not None and isinstance(event.payload, AttemptStarted):
            on[event.run_id] = event.payload.device
    found: dict[tuple[str, str], list[Process]] = {}
    for worker in store.leases.workers():
        mine = [run for run in active.values() if run.worker_id == worker.id]
        for device in dict.fromkeys(on[run.id] for run in mine if run.id in on):
            runs = [run for run in mine if on.get(run.id) == device]
            process = Process(pid=worker.pid, memory=_memory(worker), runs=runs)
            found.setdefault((worker.host, device), []).append(process)
    return found


def _memory(worker: WorkerInfo) -> int | None:
    if worker.alive is not True:
        return None
    try:
        return int(psutil.Process(worker.pid).memory_info().rss)
    except psutil.Error:
        return None


def _drawn(history: History, buckets: int) -> Curve:
    times = history.times
    if not len(times):
        return Curve(times=[], figures={name: [] for name in FIGURES})
    width = max((times[-1] - times[0]) / buckets, 1e-3)
    starts = np.flatnonzero(np.diff(np.floor((times - times[0]) / width), prepend=-1.0))
    counts = np.diff(starts, append=len(times))
    means = {name: _means(values, starts) for name, values in history.figures.items()}
    middle = np.add.reduceat(times, starts) / counts
    gaps = np.flatnonzero(np.diff(middle) > max(3 * width, 3 * TOGETHER * READING_SECONDS)) + 1
    return Curve(
        times=np.insert(middle, gaps, (middle[gaps - 1] + middle[gaps]) / 2).tolist(),
        figures={
            name: [None if np.isnan(one) else float(one) for one in np.insert(values, gaps, np.nan)]
            for name, values in means.items()
        },
    )


def _means(values: Floats, starts: npt.NDArray[np.intp]) -> Floats:
    """Return the mean of each group over the values that are there; NaN where none is."""
    known = ~np.isnan(values)
    number = np.add.reduceat(known.astype(float), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    mean: Floats = np.divide(total, number, out=np.full(len(starts), np.nan), where=number > 0)
    return mean
