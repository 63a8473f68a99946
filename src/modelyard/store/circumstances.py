"""What a measurement of speed depends on besides what was measured: this machine, its torch, and our own code."""

import hashlib
import os
import platform
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

_MEASURED_CODE = ("engine", "tasks")
"""The folders of this package whose code takes the time that is measured."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """Measurements hold under equal circumstances only."""

    machine: str
    """The processor and how many of its cores may be used."""
    torch: str
    """The version of torch; empty where it is not installed."""
    code: str
    """A hash of the code that trains."""

    def differing(self, other: "Circumstances") -> list[str]:
        """Return the names of what differs."""
        mine, others = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != others[name]]


@cache
def circumstances() -> Circumstances:
    """Return those of this process; torch is not imported."""
    return Circumstances(machine=f"{processor()}, {_cores()} cores", torch=_version("torch"), code=_code_hash())


def processor() -> str:
    """Return the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _code_hash() -> str:
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for folder in _MEASURED_CODE:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
