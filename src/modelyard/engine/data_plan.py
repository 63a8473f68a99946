"""The order of the samples: fixed by ``data_seed`` alone, so runs with the same seed see the same batches."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """Which samples make up each micro-batch of each epoch, and which micro-batches make up each optimizer step."""

    samples: int
    batch_size: int
    accumulate: int
    data_seed: int

    def __post_init__(self) -> None:
        if self.batch_size > self.samples:
            raise ConfigError(
                f"training.batch_size: {self.batch_size} is larger than the {self.samples} training samples; "
                f"use at most {self.samples}"
            )

    @classmethod
    def of(cls, spec: RunSpec, *, samples: int) -> Self:
        """Return the plan of a run over so many training samples. Raises ``ConfigError`` if a batch needs more."""
        return cls(
            samples=samples,
            batch_size=spec.training.batch_size,
            accumulate=spec.training.accumulate,
            data_seed=spec.data_seed,
        )

    @cached_property
    def micro_batches(self) -> int:
        """Micro-batches in an epoch. A last one of a single sample joins the one before: batch norm needs two."""
        full, rest = divmod(self.samples, self.batch_size)
        return full + (rest > 1)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch; the last may have fewer micro-batches than ``accumulate``."""
        return -(-self.micro_batches // self.accumulate)

    def permutation(self, epoch: int) -> Indices:
        """Return the order of all samples, int64 [samples], in ``epoch`` (counted from 0)."""
        generator = np.random.Generator(np.random.Philox(key=[self.data_seed, epoch]))
        return generator.permutation(self.samples)

    def step(self, permutation: Indices, step: int) -> list[Indices]:
        """Return the samples of each micro-batch of optimizer step ``step`` within an epoch."""
        first = step * self.accumulate
        last = min(first + self.accumulate, self.micro_batches)
        return [self._micro_batch(permutation, index) for index in range(first, last)]

    def _micro_batch(self, permutation: Indices, index: int) -> Indices:
        start = index * self.batch_size
        stop = self.samples if index == self.micro_batches - 1 else start + self.batch_size
        return permutation[start:stop]
