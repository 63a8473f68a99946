"""The batches of one data plan: gathered once for every learner that is at the same place."""

from dataclasses import dataclass
from weakref import WeakValueDictionary

import numpy as np
import torch

from modelyard.engine.data_plan import DataPlan, Indices
from modelyard.tasks.base import Batch, SplitName, TaskData

MOST_BYTES_AT_ONCE = 1 << 20
MOST_STEPS_AT_ONCE = 32
"""How much is gathered ahead of its step, at most."""


@dataclass(frozen=True, eq=False)
class Block:
    """The micro-batches of some optimizer steps of one epoch."""

    epoch: int
    first: int
    steps: list[list[Batch]]

    def covers(self, epoch: int, step: int) -> bool:
        """Whether the step is among them."""
        return epoch == self.epoch and self.first <= step < self.first + len(self.steps)


class Feed:
    """Gathers micro-batches on a device. Learners that share a feed get the very same ``Batch`` for the same step.

    Small samples are gathered for several steps at once: the work of a gather hardly depends on its size. A block is
    kept for as long as a learner holds it.
    """

    def __init__(self, data: TaskData, plan: DataPlan, device: torch.device) -> None:
        self.data = data
        self.plan = plan
        self.device = device
        self.gathered = 0
        """Samples gathered so far."""
        self._blocks: WeakValueDictionary[tuple[int, int], Block] = WeakValueDictionary()
        self._permutation: tuple[int, Indices] | None = None
        self._steps_at_once: int | None = None

    def block(self, epoch: int, step: int) -> Block:
        """Return the micro-batches of ``step`` (within ``epoch``) and of its neighbours."""
        if self._steps_at_once is None:
            self._steps_at_once = self._measure()
        first = step - step % self._steps_at_once
        block = self._blocks.get((epoch, first))
        if block is None:
            block = self._blocks[epoch, first] = self._gather(epoch, first, self._steps_at_once)
        return block

    def _measure(self) -> int:
        sample = self.data.batch(SplitName.TRAIN, np.zeros(1, dtype=np.int64))
        per_step = max(1, sample.nbytes) * self.plan.batch_size * self.plan.accumulate
        return max(1, min(MOST_STEPS_AT_ONCE, MOST_BYTES_AT_ONCE // per_step))

    def _gather(self, epoch: int, first: int, count: int) -> Block:
        last = min(first + count, self.plan.steps_per_epoch)
        permutation = self._epoch_permutation(epoch)
        steps = [self.plan.step(permutation, step) for step in range(first, last)]
        indices = np.concatenate([micro_batch for step in steps for micro_batch in step])
        whole = self.to_device(self.data.batch(SplitName.TRAIN, indices))
        self.gathered += len(indices)
        parts = iter(whole.split([len(micro_batch) for step in steps for micro_batch in step]))
        return Block(epoch, first, [[next(parts) for _ in step] for step in steps])

    def _epoch_permutation(self, epoch: int) -> Indices:
        if self._permutation is None or self._permutation[0] != epoch:
            self._permutation = (epoch, self.plan.permutation(epoch))
        return self._permutation[1]

    def to_device(self, batch: Batch) -> Batch:
        """Return ``batch`` on the device."""
        if self.device.type == "cpu":
            return batch
        # On other devices the host's memory may be reused before the copy is done.
        return batch.to(self.device, non_blocking=self.device.type == "cuda")
