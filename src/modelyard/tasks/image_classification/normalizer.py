"""From uint8 pixels to what a model sees; training, evaluation and prediction all take this path."""

import torch
from torch import Tensor

from modelyard.tasks.preprocessing import Preprocessing


class Normalizer:
    """``(x / 255 - mean) / std`` on the device of ``x``, as one multiplication and one addition."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        scales = [1 / std for std in preprocessing.std]
        shifts = [-mean / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
        self._byte_scale = _by_channel([scale / 255 for scale in scales])
        self._unit_scale = _by_channel(scales)
        self._shift = _by_channel(shifts)
        self._device = torch.device("cpu")

    def from_bytes(self, pixels: Tensor) -> Tensor:
        """Return float [B, C, H, W] for uint8 pixels."""
        self._move_to(pixels.device)
        return pixels.float().mul_(self._byte_scale).add_(self._shift)

    def from_unit(self, pixels: Tensor) -> Tensor:
        """Return float [B, C, H, W] for float pixels between 0 and 1; works in place."""
        self._move_to(pixels.device)
        return pixels.mul_(self._unit_scale).add_(self._shift)

    def _move_to(self, device: torch.device) -> None:
        if device == self._device:
            return
        self._byte_scale, self._unit_scale, self._shift = (
            value if isinstance(value, float) else value.to(device)
            for value in (self._byte_scale, self._unit_scale, self._shift)
        )
        self._device = device


def _by_channel(values: list[float]) -> Tensor | float:
    """Return one number if it serves every channel, which is the faster case; else float [1, C, 1, 1]."""
    return values[0] if len(set(values)) == 1 else torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
