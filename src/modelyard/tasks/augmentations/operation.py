"""What an augmentation is: how many random numbers it draws, and what it does with them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from modelyard.domain.parts.augmentations import Augmentation
from modelyard.tasks.augmentations.random_numbers import Draws, Floats
from modelyard.tasks.registry import Registry


class Operation(Protocol):
    """Changes a batch."""

    @property
    def draws(self) -> int:
        """Random numbers for each sample."""
        ...

    def apply(self, images: Tensor, targets: Tensor, draws: Draws, *, classes: int) -> tuple[Tensor, Tensor]:
        """Return the changed images float [B, C, H, W] and targets; what is passed in stays as it is."""
        ...


AUGMENTATIONS: Registry[Augmentation, Operation] = Registry("augmentation")


@dataclass(frozen=True)
class PixelOperation:
    """Changes some of the samples, each by itself. Draw 0 selects the samples."""

    probability: float
    parameters: int
    """Random numbers for each sample, besides the one that selects it."""
    change: Callable[[Tensor, Draws], Tensor]
    """Selected images [K, C, H, W] and their draws (parameters from number 1 on) to changed images."""

    @property
    def draws(self) -> int:
        """Random numbers for each sample."""
        return 1 + self.parameters

    def apply(self, images: Tensor, targets: Tensor, draws: Draws, *, classes: int) -> tuple[Tensor, Tensor]:
        """Change the selected samples; without any, cost nothing."""
        del classes
        rows = np.flatnonzero(draws.uniform(0) < self.probability)
        if len(rows) == len(images):
            return self.change(images, draws), targets
        if not len(rows):
            return images, targets
        indices = torch.from_numpy(rows).to(images.device)
        changed = self.change(images.index_select(0, indices), draws.take(rows))
        return images.index_copy(0, indices, changed), targets


def to_device(values: Floats, images: Tensor) -> Tensor:
    """Return one number per sample as float [K, 1, 1, 1] beside ``images``."""
    return torch.from_numpy(values.astype(np.float32)).to(images.device).view(-1, 1, 1, 1)
