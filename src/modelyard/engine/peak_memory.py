"""The most memory that something took, beyond what was in use before."""

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""Linux forgets the peak of a process's resident memory when this is written to ``clear_refs``."""


class PeakMemory:
    """Starts to watch when it is made. On a CPU only Linux can tell."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: int | None = None
        release_memory(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        elif device.type == "cpu":
            with suppress(OSError):
                _CLEAR.write_text(_RESET_PEAK)
                self._before = _status_bytes("VmRSS")

    def bytes(self) -> int | None:
        """Return the peak so far beyond what was in use at the start; None where it cannot be measured."""
        if self._before is None:
            return None
        if self._device.type == "cuda":
            return max(0, torch.cuda.max_memory_allocated(self._device) - self._before)
        peak = _status_bytes("VmHWM")
        return None if peak is None else max(0, peak - self._before)


def release_memory(device: torch.device) -> None:
    """Give memory that nothing uses any more back to the system, so that it counts for nothing that comes later."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # other C libraries than glibc have no such function
            ctypes.CDLL(None).malloc_trim(0)


def _status_bytes(field: str) -> int | None:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None
