"""Reads what devices do at a moment: the processor and AMD's devices by the kernel, NVIDIA's by nvidia-smi.

What cannot be read is told with its reason. No torch, and nothing that opens a device: training is not disturbed.
"""

import csv
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from modelyard.agent.devices import DeviceInfo
from modelyard.domain.device import FIGURES, Reading, all_unavailable

NVIDIA_SECONDS = 5.0
"""How long nvidia-smi may take."""
MEBIBYTE = 2**20
_QUERY = ("uuid", "index", "utilization.gpu", "memory.used", "memory.total", "temperature.gpu", "power.draw")
_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "acpitz")
"""Sensors of processors, the best first."""

Source = Callable[[], Mapping[str, Reading]]
"""Reads some devices, by name."""


def sources(accelerators: Sequence[DeviceInfo]) -> list[Source]:
    """Return what reads the processor and these accelerators."""
    found: list[Source] = [Processor().read]
    nvidia = [device for device in accelerators if device.platform == "cuda"]
    if nvidia:
        found.append(Nvidia(nvidia).read)
    for device in accelerators:
        if device.platform == "rocm":
            found.append(Amd(device).read)
        elif device.platform == "mps":
            why = "macOS tells it to no program without the rights of an administrator; the memory is the processor's"
            found.append(_always(device.name, all_unavailable(why)))
    return found


def _always(name: str, reading: Reading) -> Source:
    return lambda: {name: reading}


class Processor:
    """The processor and the memory of the whole machine, not of Modelyard alone."""

    def __init__(self, powercap: Path = Path("/sys/class/powercap")) -> None:
        self._energy = Energy(powercap)
        psutil.cpu_percent()  # what comes next is counted from here

    def read(self) -> Mapping[str, Reading]:
        """Return one reading, since the one before."""
        memory = psutil.virtual_memory()
        figures = {
            "utilisation": psutil.cpu_percent() / 100,
            "memory_used": float(memory.total - memory.available),
            "memory_total": float(memory.total),
        }
        unavailable = {}
        temperature = _processor_temperature()
        if temperature is None:
            unavailable["temperature"] = "the system shows no sensor of the processor"
        else:
            figures["temperature"] = temperature
        power = self._energy.watts()
        if isinstance(power, str):
            unavailable["power"] = power
        else:
            figures["power"] = power
        return {"cpu": Reading(figures=figures, unavailable=unavailable)}


class Energy:
    """The power of the processor's packages, from the energy that Linux counts (powercap, RAPL)."""

    def __init__(self, folder: Path) -> None:
        self._counters = sorted(folder.glob("intel-rapl:[0-9]*/energy_uj"))
        self._counters = [path for path in self._counters if path.parent.name.count(":") == 1]
        self._before: tuple[float, int] | None = None

    def watts(self) -> float | str:
        """Return the mean power since the last call, or why it is not known."""
        if not self._counters:
            return "the system counts no energy of the processor"
        try:
            energy = sum(int(path.read_text()) for path in self._counters)
        except PermissionError:
            return "only an administrator may read how much energy the processor took"
        except (OSError, ValueError) as error:
            return f"the processor's energy cannot be read: {error}"
        now, before = time.monotonic(), self._before
        self._before = (now, energy)
        if before is None or now <= before[0] or energy < before[1]:
            return "known from the next reading on"  # the first one, or the counter began anew
        return (energy - before[1]) / 1e6 / (now - before[0])


def _processor_temperature() -> float | None:
    """Return the highest temperature of the processor in degrees Celsius."""
    read = getattr(psutil, "sensors_temperatures", None)  # there is none on macOS
    chips = {} if read is None else read()
    for name in _CHIPS:
        known = [float(one.current) for one in chips.get(name, ()) if one.current]
        if known:
            return max(known)
    return None


class Nvidia:
    """All NVIDIA devices, by one child process for each reading."""

    def __init__(self, devices: Sequence[DeviceInfo], command: str = "nvidia-smi") -> None:
        self._devices = devices
        self._command = [command, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]

    def read(self) -> Mapping[str, Reading]:
        """Return a reading of each device; none of them has figures where nvidia-smi does not answer."""
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                self._command, capture_output=True, text=True, timeout=NVIDIA_SECONDS, check=True
            )
        except FileNotFoundError:
            return self._all(f"{self._command[0]} is not installed")
        except subprocess.TimeoutExpired:
            return self._all(f"{self._command[0]} did not answer within {NVIDIA_SECONDS:.0f} s")
        except subprocess.CalledProcessError as error:
            lines = f"{error.stdout}\n{error.stderr}".strip().splitlines()
            return self._all(f"{self._command[0]} failed: {lines[0] if lines else f'exit code {error.returncode}'}")
        except OSError as error:
            return self._all(f"{self._command[0]} cannot be started: {error.strerror}")
        rows = [[cell.strip() for cell in row] for row in csv.reader(done.stdout.splitlines()) if row]
        return {device.name: _nvidia_reading(device, rows) for device in self._devices}

    def _all(self, why: str) -> Mapping[str, Reading]:
        return {device.name: all_unavailable(why) for device in self._devices}


def _nvidia_reading(device: DeviceInfo, rows: Sequence[Sequence[str]]) -> Reading:
    """Find the row of a device: by its identifier, or where torch does not tell that, by its number."""
    number = device.name.rpartition(":")[2]
    for row in rows:
        if len(row) == len(_QUERY) and (
            row[0].removeprefix("GPU-") == device.uuid if device.uuid else row[1] == number
        ):
            return _scaled(dict(zip(FIGURES, row[2:], strict=True)))
    return all_unavailable("nvidia-smi does not list this device")


def _scaled(cells: Mapping[str, str]) -> Reading:
    scale = {"utilisation": 0.01, "memory_used": MEBIBYTE, "memory_total": MEBIBYTE}
    figures: dict[str, float] = {}
    unavailable = {}
    for name, cell in cells.items():
        try:
            figures[name] = float(cell) * scale.get(name, 1.0)
        except ValueError:
            unavailable[name] = f"the driver says {cell or 'nothing'}"
    return Reading(figures=figures, unavailable=unavailable)


@dataclass(frozen=True)
class _File:
    """Where the amdgpu driver tells a figure, and how many units of that are one of ours."""

    pattern: str
    unit: float


_AMD_FILES = {
    "utilisation": _File("gpu_busy_percent", 100.0),
    "memory_used": _File("mem_info_vram_used", 1.0),
    "memory_total": _File("mem_info_vram_total", 1.0),
    "temperature": _File("hwmon/hwmon*/temp1_input", 1000.0),
    "power": _File("hwmon/hwmon*/power1_average", 1e6),
}


class Amd:
    """One AMD device, from the files of Linux' amdgpu driver. Which one it is says its address on the PCI bus."""

    def __init__(self, device: DeviceInfo, folder: Path = Path("/sys/bus/pci/devices")) -> None:
        self._name = device.name
        self._folder = folder / device.pci if device.pci else None

    def read(self) -> Mapping[str, Reading]:
        """Return one reading."""
        if self._folder is None or not self._folder.is_dir():
            return {self._name: all_unavailable("the system does not show which device of the PCI bus this is")}
        figures = {}
        for name, file in _AMD_FILES.items():
            with suppress(OSError, ValueError, StopIteration):
                figures[name] = int(next(self._folder.glob(file.pattern)).read_text()) / file.unit
        why = "the amdgpu driver does not tell it"
        return {self._name: Reading(figures=figures, unavailable={one: why for one in FIGURES if one not in figures})}
