"""The random state of one learner: saved when it leaves the device, restored when it comes back."""

import random
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """Python's, NumPy's and torch's global generators at one moment."""

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    torch_cpu: Tensor
    torch_device: Tensor | None
    """State of the accelerator's generator, for a learner that trains on one."""

    @classmethod
    def capture(cls, device: torch.device) -> Self:
        """Read the global generators."""
        numpy_state = np.random.get_state()
        assert isinstance(numpy_state, tuple)
        return cls(random.getstate(), numpy_state, torch.get_rng_state(), _device_state(device))

    def restore(self, device: torch.device) -> None:
        """Set the global generators."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch_cpu)
        if self.torch_device is not None:
            _set_device_state(device, self.torch_device)

    @property
    def torch_stream(self) -> Tensor:
        """State of the generator that layers draw from: the accelerator's, or the CPU's."""
        return self.torch_cpu if self.torch_device is None else self.torch_device

    def with_stream(self, state: Tensor) -> Self:
        """Return a copy whose layers' generator is in ``state``."""
        return replace(self, torch_cpu=state) if self.torch_device is None else replace(self, torch_device=state)

    def to_state(self) -> dict[str, Any]:
        """Return tensors and JSON values that ``from_state`` turns back."""
        name, keys, position, has_gauss, cached = self.numpy
        version, internal, gauss_next = self.python
        return {
            "python": {"version": version, "internal": torch.tensor(internal, dtype=torch.int64), "gauss": gauss_next},
            "numpy": {
                "name": name,
                "keys": torch.from_numpy(keys.astype(np.int64)),
                "position": int(position),
                "has_gauss": int(has_gauss),
                "cached": float(cached),
            },
            "torch_cpu": self.torch_cpu,
            "torch_device": self.torch_device,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild what ``to_state`` returned."""
        python, numpy_state = state["python"], state["numpy"]
        return cls(
            (python["version"], tuple(python["internal"].tolist()), python["gauss"]),
            (
                numpy_state["name"],
                numpy_state["keys"].numpy().astype(np.uint32),
                numpy_state["position"],
                numpy_state["has_gauss"],
                numpy_state["cached"],
            ),
            state["torch_cpu"],
            state["torch_device"],
        )


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _device_state(device: torch.device) -> Tensor | None:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    if device.type == "mps":
        return torch.mps.get_rng_state()
    return None


def _set_device_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state)
