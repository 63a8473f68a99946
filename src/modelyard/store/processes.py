"""Who a process is, so that another one can tell whether it still lives.

A pid alone is reused. Host, boot and pid namespace, pid and start time together name one process for ever. The start
time is counted from the boot where the system offers that, because the wall clock may jump.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """One process, on any host, for ever."""

    host: str
    boot_id: str
    """Differs after a reboot and between pid namespaces (containers)."""
    pid: int
    start: str
    """When it started, in the system's own unit; only compared for equality."""


def current_process() -> ProcessIdentity:
    """Return the identity of the calling process."""
    pid = os.getpid()
    start = _start_of(pid)
    assert start is not None, "a running process has a start time"
    return ProcessIdentity(host=socket.gethostname(), boot_id=_boot_id(), pid=pid, start=start)


def is_alive(process: ProcessIdentity) -> bool | None:
    """Whether ``process`` runs; None if it cannot be known from here (another host, boot or container)."""
    if (process.host, process.boot_id) != (socket.gethostname(), _boot_id()):
        return None
    return _start_of(process.pid) == process.start


def _boot_id() -> str:
    kernel = _PROC / "sys/kernel/random/boot_id"
    if not kernel.exists():
        return str(int(psutil.boot_time()))
    return f"{kernel.read_text().strip()}/{os.readlink(_PROC / 'self/ns/pid')}"


def _start_of(pid: int) -> str | None:
    """Return when ``pid`` started, or None if it is gone or only waits for its parent (a zombie)."""
    if (_PROC / "self/stat").exists():
        return _linux_start_of(pid)
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _linux_start_of(pid: int) -> str | None:
    """Read clock ticks since the boot (field 22 of proc(5)'s stat), which no change of the wall clock moves."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name is in parentheses and may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return None if state in {"Z", "X", "x"} else start
