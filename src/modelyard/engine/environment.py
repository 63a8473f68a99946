"""What a run's numbers depend on besides its config: the code, the libraries and the device."""

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.store.circumstances import processor

_LIBRARIES = ("torch", "numpy", "kornia", "torchmetrics", "transformers", "pillow", "datasets", "pyarrow")


def prepare_process() -> None:
    """Set what must be set before the first operation on a device. cuBLAS repeats bit for bit only with this."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def choose_device(spec: RunSpec, offered: torch.device) -> torch.device:
    """Return where a run trains. Raises ``ConfigError`` if its config asks for a device that is not there."""
    wanted = spec.training.device
    if wanted in ("auto", offered.type):
        return offered
    if wanted == "cpu":
        return torch.device("cpu")
    if not device_exists(wanted):
        raise ConfigError(
            f"training.device: this process has no {wanted} device; use auto or cpu, or see: modelyard doctor"
        )
    return torch.device(wanted)


def device_exists(kind: str) -> bool:
    """Whether torch can use a device of this kind (``cpu``, ``cuda``, ``mps``)."""
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())


@cache
def code_fingerprint() -> str:
    """SHA-256 over this package's source files."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def environment_fingerprint(device: torch.device) -> str:
    """SHA-256 over the Python and library versions, the processor and the device."""
    return hashlib.sha256(canonical_json(describe_environment(device)).encode()).hexdigest()


def describe_environment(device: torch.device) -> dict[str, str]:
    """Return what the environment fingerprint is made of."""
    versions = {name: _version(name) for name in _LIBRARIES}
    return {
        **versions,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
