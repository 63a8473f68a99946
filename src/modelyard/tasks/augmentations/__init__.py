"""Random changes to a batch of images, with random numbers keyed by (seed, epoch, sample): see ``random_numbers``."""

from collections.abc import Sequence

from torch import Tensor

from modelyard.domain.parts.augmentations import Augmentation
from modelyard.tasks.augmentations import color, geometry, mixing
from modelyard.tasks.augmentations.operation import AUGMENTATIONS
from modelyard.tasks.augmentations.random_numbers import KeyedRandom

__all__ = ["AUGMENTATIONS", "Augmenter", "build_augmenter"]

_ENTRIES = (color, geometry, mixing)
"""Importing these files fills the registry."""


class Augmenter:
    """A list of augmentations, applied in order."""

    def __init__(self, configs: Sequence[Augmentation], *, seed: int) -> None:
        self._operations = [AUGMENTATIONS.build(config) for config in configs]
        self._random = KeyedRandom(seed, [operation.draws for operation in self._operations])

    def __call__(
        self, images: Tensor, targets: Tensor, *, classes: int, epoch: int, samples: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return changed images and their targets; what is passed in stays as it is.

        ``images`` are float [B, C, H, W] between 0 and 1 and stay so, ``targets`` int64 [B], ``samples`` int64 [B]
        numbers within the split. Targets stay int64 [B], or become float probabilities [B, C] when samples were mixed.
        """
        draws = self._random.draw(epoch=epoch, samples=samples.cpu().numpy())
        for operation, numbers in zip(self._operations, draws, strict=True):
            images, targets = operation.apply(images, targets, numbers, classes=classes)
        return images, targets


def build_augmenter(configs: Sequence[Augmentation], *, seed: int) -> Augmenter | None:
    """Build the augmentations; None without any."""
    return Augmenter(configs, seed=seed) if configs else None
