"""Where the tensors of resident runs are: on the device, in host memory, or on the disk.

A run is moved down only when the one whose turn it is does not fit beside the others. Moving swaps the storage of
each tensor and keeps the tensor itself, so model, optimizer and average stay wired together, and no bit changes.
What learners share with each other stays where it is, and is counted once.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import psutil
import torch
from safetensors.torch import load_file, save_file

from modelyard.engine.learner import Learner


class Tier(IntEnum):
    """The memory tiers, fastest first."""

    DEVICE = 0
    HOST = 1
    DISK = 2


@dataclass
class Placement:
    """Where one learner's tensors are."""

    learner: Learner
    scratch: Path
    """Folder for the file that holds the tensors while they are on the disk."""
    tier: Tier = Tier.DEVICE
    last_used: int = 0
    _homes: list[torch.device] = field(default_factory=list)
    _spilled_bytes: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of all tensors, wherever they are."""
        return self._spilled_bytes or sum(tensor.nbytes for tensor in self.learner.tensors())

    @property
    def expected_bytes(self) -> int:
        """Bytes in the middle of training: before the first steps, gradients and Adam's averages are still to come."""
        weights = sum(parameter.nbytes for parameter in self.learner.model.parameters() if parameter.requires_grad)
        return max(self.bytes, 4 * weights)

    @property
    def file(self) -> Path:
        """Where the tensors are while they are on the disk."""
        return self.scratch / "tensors.safetensors"

    def to(self, tier: Tier) -> None:
        """Move every tensor. Raises ``OSError`` if the disk is full; then they are in host memory."""
        if tier is self.tier:
            return
        if self.tier is Tier.DISK:
            self._load()
        if tier is Tier.DISK:
            self._spill()
        elif tier is Tier.HOST:
            self._to_host()
        else:
            for tensor, device in zip(self.learner.tensors(), self._homes, strict=True):
                tensor.data = tensor.data.to(device)
            self.tier = Tier.DEVICE

    def _to_host(self) -> None:
        self.learner.optimizer.zero_grad(set_to_none=True)
        tensors = self.learner.tensors()
        if self.tier is Tier.DEVICE:
            self._homes = [tensor.device for tensor in tensors]
        for tensor in tensors:
            tensor.data = tensor.data.to("cpu")
        self.tier = Tier.HOST

    def _spill(self) -> None:
        self._to_host()
        tensors = self.learner.tensors()
        self.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            save_file({str(index): tensor.data.contiguous() for index, tensor in enumerate(tensors)}, self.file)
        except Exception as error:
            # safetensors reports a full disk as its own error type.
            self.file.unlink(missing_ok=True)
            raise OSError(f"cannot move tensors to the disk: {error}") from error
        self._spilled_bytes = self.bytes
        for tensor in tensors:
            tensor.data = torch.empty(0, dtype=tensor.dtype)
        self.tier = Tier.DISK

    def _load(self) -> None:
        loaded = load_file(self.file)
        for index, tensor in enumerate(self.learner.tensors()):
            # A copy, since kernels may round differently on memory that torch did not align itself.
            tensor.data = loaded[str(index)].clone()
        self.file.unlink()
        self._spilled_bytes = 0
        self.tier = Tier.HOST


class Residency:
    """Keeps the learner whose turn it is on the device, and the others as near as there is room."""

    def __init__(self, *, device_bytes: int | None, host_bytes: int | None) -> None:
        self._device_bytes = device_bytes
        self._host_bytes = host_bytes
        self._placements: dict[int, Placement] = {}
        self._clock = 0

    def add(self, learner: Learner, scratch: Path) -> None:
        """Take a learner in; it is on its device."""
        self._placements[id(learner)] = Placement(learner, scratch)

    def remove(self, learner: Learner) -> None:
        """Let a learner go, with its file."""
        placement = self._placements.pop(id(learner))
        placement.file.unlink(missing_ok=True)

    def _shared_bytes(self, *, on_device: bool) -> int:
        """Return the bytes of what learners share, each once: on an accelerator, or in host memory."""
        parts = {id(part): part for one in self._placements.values() for part in one.learner.shared.parts}
        return sum(part.bytes(on_device=on_device) for part in parts.values())

    def has_room(self) -> bool:
        """Whether one more learner like the largest here would fit into memory, without anything moved to the disk."""
        if self._host_bytes is None or not self._placements:
            return True
        sizes = [placement.expected_bytes for placement in self._placements.values()]
        return self._shared_bytes(on_device=False) + sum(sizes) + max(sizes) <= self._host_bytes

    def tier(self, learner: Learner) -> Tier:
        """Return where a learner's tensors are."""
        return self._placements[id(learner)].tier

    def bring(self, learner: Learner, *, beside: Sequence[Learner] = ()) -> None:
        """Put a learner's tensors on its device, after making room; those of ``beside`` stay where they are."""
        placement = self._placements[id(learner)]
        self._clock += 1
        placement.last_used = self._clock
        if len(self._placements) > 1:
            self._make_room(placement, [self._placements[id(other)] for other in beside])
        placement.to(Tier.DEVICE)

    def reach(self, learner: Learner) -> None:
        """Make a learner's tensors readable: anywhere but on the disk."""
        placement = self._placements[id(learner)]
        if placement.tier is Tier.DISK:
            placement.to(Tier.HOST)

    def _make_room(self, wanted: Placement, kept: Sequence[Placement]) -> None:
        on_accelerator = wanted.learner.device.type != "cpu"
        if on_accelerator and self._device_bytes is not None:
            self._move_down(wanted, kept, Tier.DEVICE, Tier.HOST, self._device_bytes)
        if self._host_bytes is not None:
            source = Tier.HOST if on_accelerator else Tier.DEVICE
            self._move_down(wanted, kept, source, Tier.DISK, self._host_bytes)

    def _move_down(self, wanted: Placement, kept: Sequence[Placement], source: Tier, target: Tier, limit: int) -> None:
        """Move the longest unused learners from ``source`` to ``target`` until the rest and ``wanted`` fit."""
        on_accelerator = wanted.learner.device.type != "cpu"
        others = sorted(self._at(source, wanted), key=lambda placement: placement.last_used)
        needed = sum(placement.bytes for placement in others)
        needed += wanted.bytes if source is Tier.DEVICE else 0
        needed += self._shared_bytes(on_device=on_accelerator and source is Tier.DEVICE)
        for placement in others:
            if needed <= limit:
                return
            if any(placement is one for one in kept):
                continue
            needed -= placement.bytes
            try:
                placement.to(target)
            except OSError:
                return  # no room on the disk either: the tensors stay where they are

    def _at(self, tier: Tier, wanted: Placement) -> Sequence[Placement]:
        return [
            placement for placement in self._placements.values() if placement is not wanted and placement.tier is tier
        ]


def default_limits(device: torch.device) -> tuple[int | None, int]:
    """Return the bytes that resident runs may keep on ``device`` and in host memory: half of what is there.

    The other half is for activations, data and everybody else. ``MODELYARD_DEVICE_BYTES`` and
    ``MODELYARD_HOST_BYTES`` override.
    """
    device_bytes: int | None = None
    if device.type == "cuda":
        device_bytes = torch.cuda.get_device_properties(device).total_memory // 2
    host_bytes = psutil.virtual_memory().available // 2
    return (
        _from_environment("MODELYARD_DEVICE_BYTES", device_bytes),
        _from_environment("MODELYARD_HOST_BYTES", host_bytes) or 0,
    )


def _from_environment(name: str, default: int | None) -> int | None:
    value = os.environ.get(name)
    return default if value is None else int(value)
