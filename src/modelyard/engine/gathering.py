"""The batches of one data plan by number, several optimizer steps at a time; slow ones are read ahead of their step."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, lru_cache
from weakref import WeakValueDictionary

import numpy as np
import torch

from modelyard.engine.data_plan import DataPlan, Indices
from modelyard.tasks.base import Batch, SplitName, TaskData

MOST_BYTES_AT_ONCE = 1 << 20
MOST_STEPS_AT_ONCE = 32
"""How much is gathered at once, at most; the work of a gather hardly depends on its size."""
AHEAD = 2
"""How many blocks are read ahead of the one that is needed."""
WINDOW_BYTES = 64 << 20
"""How much of what was read is kept for learners that come a little later."""


class Gatherer:
    """Gathers block ``number``: the samples of some steps of one epoch. Blocks are numbered on through the epochs."""

    def __init__(self, data: TaskData, plan: DataPlan) -> None:
        self._data = data
        self._plan = plan
        self._permutation = lru_cache(maxsize=2)(plan.permutation)

    @cached_property
    def steps_at_once(self) -> int:
        """Optimizer steps in a block; the last of an epoch may have fewer."""
        return max(1, min(MOST_STEPS_AT_ONCE, MOST_BYTES_AT_ONCE // self._step_bytes))

    @cached_property
    def most(self) -> int:
        """How many blocks are held at most."""
        return max(AHEAD + 1, WINDOW_BYTES // (self._step_bytes * self.steps_at_once))

    @cached_property
    def _step_bytes(self) -> int:
        return self._data.sample_bytes * self._plan.batch_size * self._plan.accumulate

    @cached_property
    def per_epoch(self) -> int:
        """Blocks in an epoch."""
        return -(-self._plan.steps_per_epoch // self.steps_at_once)

    def number(self, epoch: int, step: int) -> int:
        """Return the block that has ``step`` (within ``epoch``)."""
        return epoch * self.per_epoch + step // self.steps_at_once

    def place(self, number: int) -> tuple[int, int]:
        """Return the epoch of a block and its first step within it."""
        epoch, block = divmod(number, self.per_epoch)
        return epoch, block * self.steps_at_once

    def micro_batches(self, number: int) -> list[list[Indices]]:
        """Return the samples of a block by step and micro-batch."""
        epoch, first = self.place(number)
        last = min(first + self.steps_at_once, self._plan.steps_per_epoch)
        permutation = self._permutation(epoch)
        return [self._plan.step(permutation, step) for step in range(first, last)]

    def read(self, number: int) -> Batch:
        """Return all samples of a block, on the host. Raises ``DataError`` for one that cannot be read."""
        return self._data.batch(SplitName.TRAIN, self._samples(number))

    def is_slow(self, number: int) -> bool:
        """Whether samples of a block would have to be read and decoded."""
        return self._data.unread(SplitName.TRAIN, self._samples(number)) > 0

    def _samples(self, number: int) -> Indices:
        return np.concatenate([micro_batch for step in self.micro_batches(number) for micro_batch in step])


class ReadAhead:
    """Reads slow blocks in the background: the next ones in the order of the plan, and never more than ``most`` at all.

    What a step gets is what it would have read itself, in the same order. A block that cannot be read is an error for
    the step that needs it, and for no other.
    """

    def __init__(self, gatherer: Gatherer) -> None:
        self._gatherer = gatherer
        self._blocks: dict[int, Future[Batch]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def __contains__(self, number: int) -> bool:
        return number in self._blocks

    def take(self, number: int, *, oldest: int, end: int) -> Batch:
        """Return a block, and begin to read those after it, up to ``end``; those before ``oldest`` are let go."""
        self.keep(range(oldest, oldest + self._gatherer.most))
        block = self._begin(number)
        for later in range(number + 1, min(number + 1 + AHEAD, end, oldest + self._gatherer.most)):
            if later not in self._blocks and self._gatherer.is_slow(later):
                self._begin(later)
        try:
            return block.result()
        except BaseException:
            del self._blocks[number], block  # whoever needs it next tries again, and the error must not hold itself
            raise

    def keep(self, numbers: range) -> None:
        """Let go of all other blocks."""
        for number in [number for number in self._blocks if number not in numbers]:
            self._blocks.pop(number).cancel()

    def _begin(self, number: int) -> "Future[Batch]":
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AHEAD, thread_name_prefix="read-ahead")
        if number not in self._blocks:
            self._blocks[number] = self._threads.submit(self._gatherer.read, number)
        return self._blocks[number]


class SplitReader:
    """Reads a split in batches, one after the other; a slow one is read in the background before it is asked for.

    Evaluations that go on side by side get the very same batches: one is kept for as long as anyone holds it.
    """

    def __init__(self, data: TaskData, split: SplitName, size: int, device: torch.device) -> None:
        self._data = data
        self._split = split
        self._device = device
        samples = np.arange(data.size(split), dtype=np.int64)
        self._parts = [samples[start : start + size] for start in range(0, len(samples), size)]
        self._held: WeakValueDictionary[int, Batch] = WeakValueDictionary()
        self._upcoming: dict[int, Future[Batch]] = {}
        self._thread: ThreadPoolExecutor | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Yield all batches, on the device. Raises ``DataError`` for one that cannot be read."""
        for number in range(len(self._parts)):
            yield self._take(number)

    def _take(self, number: int) -> Batch:
        batch = self._held.get(number)
        if batch is None:
            read = self._upcoming.pop(number, None)
            self._upcoming.clear()
            self._begin(number + 1)
            on_host = self._data.batch(self._split, self._parts[number]) if read is None else read.result()
            batch = self._held[number] = on_host.to(self._device)
        return batch

    def _begin(self, number: int) -> None:
        """Begin to read a batch in the background, if there is one and that takes long."""
        if number < len(self._parts) and self._data.unread(self._split, self._parts[number]):
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
            self._upcoming[number] = self._thread.submit(self._data.batch, self._split, self._parts[number])
