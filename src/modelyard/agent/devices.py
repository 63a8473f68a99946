"""Finds this machine's devices, in a child process: nothing that imports torch runs here."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.domain.errors import MissingExtraError, ModelyardError

PROBE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """One device that runs can train on."""

    name: str
    """``cpu``, ``cuda:0``, ``mps``."""
    kind: str
    """What torch calls its kind: an AMD device is ``cuda`` too."""
    model: str
    memory_bytes: int | None
    """None where it cannot be measured."""
    platform: str = ""
    """``cpu``, ``cuda``, ``rocm`` or ``mps``."""
    uuid: str = ""
    """NVIDIA's identifier of the device, where torch tells it."""
    pci: str = ""
    """Its address on the PCI bus, such as ``0000:c1:00.0``, where torch tells it."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a probe found."""

    devices: tuple[DeviceInfo, ...]
    environment: Mapping[str, str]
    """Versions of Python and the libraries, and the processor."""


def cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def probe_machine() -> Machine:
    """Ask torch. Takes about two seconds. Raises ``MissingExtraError`` if torch is not installed."""
    done = subprocess.run(
        [sys.executable, "-m", "modelyard.engine.device_probe"],
        capture_output=True,
        text=True,
        timeout=PROBE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise _explain(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return Machine(devices=tuple(DeviceInfo(**device) for device in found["devices"]), environment=found["environment"])


def accelerators() -> tuple[DeviceInfo, ...]:
    """Return the accelerators. Costs nothing on a machine that cannot have one."""
    if not may_have_accelerator():
        return ()
    return tuple(device for device in probe_machine().devices if device.kind != "cpu")


def may_have_accelerator() -> bool:
    """Whether it is worth asking torch: there is a device file of NVIDIA or AMD, or this is a Mac."""
    files = (Path("/dev/dxg"), Path("/dev/kfd"))
    return sys.platform == "darwin" or any(Path("/dev").glob("nvidia[0-9]*")) or any(one.exists() for one in files)


def missing_module_error(stderr: str) -> ModelyardError | None:
    """Return the error for a child process that ended because the ``train`` extra is not installed."""
    last = stderr.strip().splitlines()[-1] if stderr.strip() else ""
    if last.startswith("ModuleNotFoundError"):
        return MissingExtraError(f"{last.split(':', 1)[1].strip()}; install it with: pip install 'modelyard[train]'")
    return None


def _explain(stderr: str) -> ModelyardError:
    last = stderr.strip().splitlines()[-1] if stderr.strip() else "no message"
    return missing_module_error(stderr) or ModelyardError(f"torch could not be asked for devices: {last}")
