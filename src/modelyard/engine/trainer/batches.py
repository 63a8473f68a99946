"""The batches of a trainer, fetched again after a resume with the random numbers that they were fetched with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from modelyard.engine.random_state import RandomState


@dataclass(frozen=True)
class Fetching:
    """Where the loader was: accelerate fetches one batch ahead of the one that is trained on."""

    position: int
    """The batch of the epoch that comes next."""
    before: RandomState
    """The generators before that batch was fetched."""
    now: RandomState
    """The generators at the moment of the checkpoint."""


class WatchedBatches:
    """Stands for a batch sampler, and notes the generators before each batch is fetched.

    On a resume it sets them: a collator that draws random numbers makes the same batch again.
    """

    def __init__(self, sampler: Any, device: torch.device) -> None:
        self._sampler = sampler
        self._device = device
        self.position = -1
        """The batch that was fetched last."""
        self.before: RandomState | None = None
        self.resume: Fetching | None = None

    def __iter__(self) -> Iterator[Any]:
        resume, self.resume = self.resume, None
        for position, samples in enumerate(self._sampler):
            if resume is not None and position == resume.position:
                resume.before.restore(self._device)
            elif resume is not None and position > resume.position:
                resume.now.restore(self._device)
                resume = None
            self.position = position
            self.before = RandomState.capture(self._device)
            yield samples
        if resume is not None:
            resume.now.restore(self._device)

    def __len__(self) -> int:
        return len(self._sampler)

    def set_epoch(self, epoch: int) -> None:
        """Tell the sampler which epoch comes."""
        sampler: Any = getattr(self._sampler, "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)
