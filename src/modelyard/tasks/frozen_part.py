"""The frozen part of models that train on what it makes of their data: one for all models that have the very same."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self
from weakref import WeakSet

import torch
from torch import Tensor, nn


class FrozenPart:
    """A module whose tensors nobody changes: in host memory, and on a device too while that is needed there.

    ``config`` says as JSON how the module is built.
    """

    def __init__(self, module: nn.Module, config: Mapping[str, Any]) -> None:
        self.config = config
        self._module = module
        self._wired = [*module.parameters(), *module.buffers()]
        self._device = self._wired[0].device
        # Copies, since a pretrained model's weights are views of its file, which somebody may write to.
        self.tensors = [tensor.detach().to("cpu", copy=True) for tensor in self._wired]
        """Its parameters and buffers on the host: the very same for as long as it is there."""
        if self._device.type == "cpu":
            self.leave_device()

    def __deepcopy__(self, memo: object) -> Self:
        """Return itself: a copy of a model has the same frozen part."""
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the weights, with their names, types and shapes."""
        digest = hashlib.sha256()
        for name, tensor in self._module.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(_bits(tensor).numpy().data)
        return digest.hexdigest()

    def is_same(self, module: nn.Module) -> bool:
        """Whether a module of the same config has the same parameters and buffers, bit for bit."""
        others = [*module.parameters(), *module.buffers()]
        return len(others) == len(self.tensors) and all(map(is_same, self.tensors, others))

    def holds(self, tensor: Tensor) -> bool:
        """Whether it is one of ``tensors``, or shares its memory."""
        return tensor.device.type == "cpu" and tensor.data_ptr() in self._places

    @contextmanager
    def inside(self, owner: nn.Module, name: str) -> Iterator[None]:
        """Put the module where it belongs in a model, for as long as the context is open."""
        setattr(owner, name, self._module)
        try:
            yield
        finally:
            setattr(owner, name, None)

    def to_device(self, device: torch.device) -> None:
        """Copy it to the device that is to compute with it."""
        if device != self._device:
            for wired, tensor in zip(self._wired, self.tensors, strict=True):
                wired.data = tensor.to(device)
            self._device = device

    def leave_device(self) -> None:
        """Have it in host memory alone."""
        for wired, tensor in zip(self._wired, self.tensors, strict=True):
            wired.data = tensor
        self._device = torch.device("cpu")

    def bytes(self, *, on_device: bool) -> int:
        """Bytes that it takes of an accelerator's memory now, or of the host's."""
        tensors = self.tensors if not on_device else self._wired if self._device.type != "cpu" else []
        return sum(tensor.nbytes for tensor in tensors)

    @cached_property
    def _places(self) -> frozenset[int]:
        return frozenset(tensor.data_ptr() for tensor in self.tensors)


class FrozenParts:
    """The frozen parts of one process; each is there as long as a model has it."""

    def __init__(self) -> None:
        self._parts: WeakSet[FrozenPart] = WeakSet()

    def __len__(self) -> int:
        return len(self._parts)

    def share(self, module: nn.Module, config: Mapping[str, Any]) -> FrozenPart:
        """Return the part with this config and these very weights: a new one of ``module``, if there is none."""
        for part in self._parts:
            if part.config == config and part.is_same(module):
                return part
        part = FrozenPart(module, config)
        self._parts.add(part)
        return part


def is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal bit for bit, wherever they are."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if (one.device, one.data_ptr()) == (other.device, other.data_ptr()):
        return True
    return torch.equal(_words(one), _words(other))


def _bits(tensor: Tensor) -> Tensor:
    """Return uint8 [bytes] on the host."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8)


def _words(tensor: Tensor) -> Tensor:
    """Return the bytes as int64 where they are whole words, which are compared eight times as fast."""
    bits = _bits(tensor)
    return bits if bits.numel() % 8 or bits.storage_offset() % 8 else bits.view(torch.int64)
