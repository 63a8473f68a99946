"""The devices of each machine that an agent of this home runs on, and what they did: files, not tables."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError

from modelyard.domain.device import Device, Reading
from modelyard.store import clock
from modelyard.store.device_history import DeviceWriter, History, read_history
from modelyard.store.home import Home
from modelyard.store.processes import ProcessIdentity, current_process

_MACHINE = "machine.json"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What an agent found on the machine that it runs on."""

    host: str
    boot_id: str
    pid: int
    """Of the agent that looked last."""
    devices: tuple[Device, ...]
    trouble: str = ""
    """Why accelerators could not be looked for, or an empty string."""


_FILE = TypeAdapter(Machine)


class Devices:
    """Reads what agents recorded."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def machines(self) -> list[Machine]:
        """Return all machines, by host. What cannot be read does not count."""
        found = []
        for path in sorted(self._home.devices.glob(f"*/{_MACHINE}")):
            try:
                found.append(_FILE.validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                continue  # of another version, or just deleted: the agent writes it again
        return sorted(found, key=lambda machine: machine.host)

    def history(self, host: str, device: str) -> History:
        """Return what is known of a device: nothing if there is no such one."""
        return read_history(_folder(self._home, host) / _ring(device))

    def record(self) -> "DeviceRecord":
        """Open the record of this machine. Raises ``OSError``."""
        return DeviceRecord(self._home)


class DeviceRecord:
    """Writes what is read of this machine's devices. A context manager."""

    def __init__(self, home: Home) -> None:
        self._me: ProcessIdentity = current_process()
        self._folder = _folder(home, self._me.host)
        for folder in (home.devices, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._writers: dict[str, DeviceWriter] = {}
        self._written: Machine | None = None

    def add(self, devices: Sequence[Device], readings: Mapping[str, Reading], *, trouble: str = "") -> None:
        """Keep one reading of each device, by name. Raises ``OSError``, ``ConflictError`` beside another writer."""
        now, uptime = clock.now().timestamp(), time.monotonic()
        for device in devices:
            if device.name not in self._writers:
                self._writers[device.name] = DeviceWriter(self._folder / _ring(device.name))
            self._writers[device.name].add(readings[device.name].figures, time=now, uptime=uptime)
        machine = Machine(
            host=self._me.host,
            boot_id=self._me.boot_id,
            pid=self._me.pid,
            devices=tuple(
                Device(**{**asdict(one), "unavailable": dict(readings[one.name].unavailable)}) for one in devices
            ),
            trouble=trouble,
        )
        if machine != self._written:
            _replace(self._folder / _MACHINE, json.dumps(asdict(machine)) + "\n")
            self._written = machine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()


def _folder(home: Home, host: str) -> Path:
    return home.devices / _plain(host)


def _ring(device: str) -> str:
    return f"{_plain(device)}.ring"


def _plain(name: str) -> str:
    """Return a name that can be one part of a path and nothing more."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)
