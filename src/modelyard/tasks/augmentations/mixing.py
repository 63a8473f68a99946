"""Augmentations with rectangles and pairs: erasing, mixup, cutmix."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modelyard.domain.parts.augmentations import CutMix, Erasing, Mixup
from modelyard.tasks.augmentations.operation import AUGMENTATIONS, Operation, PixelOperation, to_device
from modelyard.tasks.augmentations.random_numbers import Draws, Floats, symmetric_beta
from modelyard.tasks.targets import probabilities


@AUGMENTATIONS.register(Erasing)
def _erasing(config: Erasing) -> Operation:
    def change(images: Tensor, draws: Draws) -> Tensor:
        height, width = images.shape[2:]
        area = draws.uniform(1, 0, config.area) * height * width
        ratio = np.exp(draws.uniform(2, math.log(0.3), math.log(1 / 0.3)))  # of height to width, as published
        rows = np.clip(np.rint(np.sqrt(area * ratio)), 1, height)
        columns = np.clip(np.rint(np.sqrt(area / ratio)), 1, width)
        top = np.floor(draws.uniform(3) * (height - rows + 1))
        left = np.floor(draws.uniform(4) * (width - columns + 1))
        return images.masked_fill(_rectangles(images, top, left, top + rows, left + columns), 0.0)

    return PixelOperation(config.probability, 4, change)


def _rectangles(images: Tensor, top: Floats, left: Floats, bottom: Floats, right: Floats) -> Tensor:
    """Return bool [K, 1, H, W]: true inside each sample's rectangle; ``bottom`` and ``right`` are just outside."""
    y = torch.arange(images.shape[2], device=images.device).view(1, 1, -1, 1)
    x = torch.arange(images.shape[3], device=images.device).view(1, 1, 1, -1)
    edges = to_device(np.stack((top, left, bottom, right)).ravel(), images).view(4, -1, 1, 1, 1)
    return ((y >= edges[0]) & (y < edges[2])) & ((x >= edges[1]) & (x < edges[3]))


@dataclass(frozen=True)
class MixOperation:
    """Mixes selected samples with another of the batch. Draw 0 selects, draw 1 picks the partner.

    The partner depends on the batch, which resuming keeps; which number of the batch it is depends on the sample alone.
    """

    probability: float
    parameters: int
    mix: Callable[[Tensor, Tensor, Draws, Floats], tuple[Tensor, Floats]]
    """Images, partners [B, C, H, W], draws, and 1.0 for selected samples (else 0.0) [B], to images and own shares."""

    @property
    def draws(self) -> int:
        """Random numbers for each sample."""
        return 2 + self.parameters

    def apply(self, images: Tensor, targets: Tensor, draws: Draws, *, classes: int) -> tuple[Tensor, Tensor]:
        """Mix images and targets, which become probabilities [B, C]; a sample alone in its batch stays as it is."""
        count = len(images)
        selected = (draws.uniform(0) < self.probability).astype(np.float64)
        if count < 2 or not selected.any():
            return images, targets
        # One of the others: at least one place further round, at most count - 1.
        places = (np.arange(count) + 1 + np.floor(draws.uniform(1) * (count - 1)).astype(np.int64)) % count
        partners = torch.from_numpy(places).to(images.device)
        mixed, shares = self.mix(images, images.index_select(0, partners), draws, selected)
        own = to_device(shares, images).view(-1, 1)
        wanted = probabilities(targets, classes)
        return mixed, wanted * own + wanted.index_select(0, partners) * (1 - own)


@AUGMENTATIONS.register(Mixup)
def _mixup(config: Mixup) -> Operation:
    def mix(images: Tensor, partners: Tensor, draws: Draws, selected: Floats) -> tuple[Tensor, Floats]:
        shares = np.where(selected, symmetric_beta(draws, 2, config.alpha), 1.0)
        own = to_device(shares, images)
        return images * own + partners * (1 - own), shares

    return MixOperation(config.probability, 2, mix)


@AUGMENTATIONS.register(CutMix)
def _cutmix(config: CutMix) -> Operation:
    def mix(images: Tensor, partners: Tensor, draws: Draws, selected: Floats) -> tuple[Tensor, Floats]:
        height, width = images.shape[2:]
        side = np.sqrt(1 - symmetric_beta(draws, 2, config.alpha)) * selected
        top, bottom = _span(draws.uniform(4), side, height)
        left, right = _span(draws.uniform(5), side, width)
        mask = _rectangles(images, top, left, bottom, right)
        # The share that is really there: the rectangle is rounded, and cut off at the edges.
        return torch.where(mask, partners, images), 1 - (bottom - top) * (right - left) / (height * width)

    return MixOperation(config.probability, 4, mix)


def _span(centre: Floats, side: Floats, length: int) -> tuple[Floats, Floats]:
    """Return the first pixel inside and the first outside of spans around ``centre``; both are shares of ``length``."""
    start = np.clip(np.rint((centre - side / 2) * length), 0, length)
    stop = np.clip(np.rint((centre + side / 2) * length), 0, length)
    return start, stop
