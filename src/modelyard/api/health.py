"""Checks an installation: each check measures something and says what to do if it is wrong."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modelyard._version import __version__
from modelyard.agent.devices import cores, probe_machine
from modelyard.agent.presence import describe, is_agent
from modelyard.domain.errors import ModelyardError
from modelyard.store import LeaseObserver, Store, open_store

LOW_SPACE_BYTES = 2 * 1024**3


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    message: str


def check_all(home: Path | None, database_url: str | None = None) -> Iterator[Check]:
    """Yield the checks one by one; asking for the devices takes about two seconds."""
    yield Check("modelyard", Verdict.OK, f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    try:
        with open_store(home, database_url=database_url) as store:
            yield from _check_home(store)
    except ModelyardError as error:
        yield Check("home", Verdict.PROBLEM, str(error))
    yield from _check_devices()


def _check_home(store: Store) -> Iterator[Check]:
    path = store.home.path
    kind = "SQLite" if store.database.is_sqlite else "PostgreSQL"
    yield Check("home", Verdict.OK, f"{path} ({kind}; its schema is this version's)")
    mode = path.stat().st_mode & 0o077
    if mode:
        yield Check("permissions", Verdict.WARNING, f"others can enter {path}; close it: chmod 700 {path}")
    space = shutil.disk_usage(path)
    verdict = Verdict.WARNING if space.free < LOW_SPACE_BYTES else Verdict.OK
    hint = "; free some: modelyard gc" if verdict is Verdict.WARNING else ""
    yield Check("disk", verdict, f"{space.free / 1024**3:.1f} GiB of {space.total / 1024**3:.1f} GiB free{hint}")
    yield from _check_records(store)
    yield from _check_workers(store)


def _check_records(store: Store) -> Iterator[Check]:
    damage = store.database.damage()
    if damage:
        yield Check("database", Verdict.PROBLEM, f"damaged ({damage}); restore it from a backup")
        return
    missing = store.gc.missing()
    if missing:
        message = f"{len(missing)} stored files are missing or cut short, such as {missing[0]}; restore them"
        yield Check("blobs", Verdict.PROBLEM, f"{message}, or train those runs again")


def _check_workers(store: Store) -> Iterator[Check]:
    dead = [worker for worker in store.leases.workers() if worker.alive is False]
    lost = store.leases.reap(LeaseObserver())
    if dead:
        runs = f"; given back: {', '.join(run.name for run in lost)}" if lost else ""
        pids = ", ".join(str(worker.pid) for worker in dead)
        yield Check("dead workers", Verdict.WARNING, f"{len(dead)} processes ended without a word (pid {pids}){runs}")
    workers = store.leases.workers()
    unknown = [describe(worker) for worker in workers if worker.alive is None]
    if unknown:
        message = f"{', '.join(unknown)} cannot be known from here (another host, or before a restart)"
        hint = "if they are gone, their runs go on with: modelyard resume"
        yield Check("unknown workers", Verdict.WARNING, f"{message}; {hint}")
    alive = [worker for worker in workers if worker.alive is True]
    agents = sum(is_agent(worker) for worker in alive)
    yield Check("workers", Verdict.OK, f"{agents} agents and {len(alive) - agents} engines at work")


def _check_devices() -> Iterator[Check]:
    yield Check("processor", Verdict.OK, f"{cores()} of {os.cpu_count()} cores may be used")
    try:
        machine = probe_machine()
    except ModelyardError as error:
        yield Check("torch", Verdict.PROBLEM, str(error))
        return
    versions = ", ".join(f"{name} {version}" for name, version in machine.environment.items())
    yield Check("torch", Verdict.OK, versions)
    for device in machine.devices:
        memory = "memory unavailable" if device.memory_bytes is None else f"{device.memory_bytes / 1024**3:.1f} GiB"
        yield Check(f"device {device.name}", Verdict.OK, f"{device.model}, {memory}")
