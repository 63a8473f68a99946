"""The batches of one data plan: gathered once for every learner that is at the same place, ahead of its step."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakSet, WeakValueDictionary

import torch

from modelyard.engine.data_plan import DataPlan
from modelyard.engine.gathering import Gatherer, ReadAhead, SplitReader
from modelyard.engine.progress import Progress
from modelyard.tasks.base import Batch, SplitName, TaskData


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

    A block is kept for as long as a learner holds it; one that was slow to read, also for learners close behind.
    """

    def __init__(self, data: TaskData, plan: DataPlan, device: torch.device) -> None:
        self.data = data
        self.plan = plan
        self.device = device
        self.gathered = 0
        """Samples gathered so far."""
        self._blocks: WeakValueDictionary[int, Block] = WeakValueDictionary()
        self._places: WeakSet[Place] = WeakSet()
        self._gatherer = Gatherer(data, plan)
        self._ahead = ReadAhead(self._gatherer)
        self._readers: dict[tuple[SplitName, int], SplitReader] = {}

    def open(self, progress: Progress) -> "Place":
        """Return the place of a learner that is where ``progress`` is."""
        place = Place(self, progress)
        self._places.add(place)
        return place

    def number(self, progress: Progress) -> int:
        """Return the block that the next step needs."""
        return self._gatherer.number(progress.epoch, progress.step_in_epoch)

    def block(self, number: int, *, epochs: int) -> Block:
        """Return a block of a run of so many epochs."""
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = self._gather(number, epochs * self._gatherer.per_epoch)
        return block

    def leaves_behind(self, number: int, other: int) -> bool:
        """Whether going on to block ``number`` drops block ``other``, which would have to be read once more."""
        if other > number - self._gatherer.most or other not in self._ahead or number in self._ahead:
            return False
        return self._gatherer.is_slow(number) and self._gatherer.is_slow(other)

    def batches(self, split: SplitName, size: int) -> Iterator[Batch]:
        """Yield all samples of a split in batches of ``size``; evaluations side by side share them."""
        if (split, size) not in self._readers:
            self._readers[split, size] = SplitReader(self.data, split, size, self.device)
        return iter(self._readers[split, size])

    def _gather(self, number: int, end: int) -> Block:
        oldest = self._oldest(number)
        steps = self._gatherer.micro_batches(number)
        if number in self._ahead or self._gatherer.is_slow(number):
            batch = self._ahead.take(number, oldest=oldest, end=end)
        else:
            self._ahead.keep(range(oldest, oldest + self._gatherer.most))
            batch = self._gatherer.read(number)
        self.gathered += len(batch)
        parts = iter(batch.to(self.device).split([len(micro_batch) for step in steps for micro_batch in step]))
        return Block(*self._gatherer.place(number), [[next(parts) for _ in step] for step in steps])

    def _oldest(self, number: int) -> int:
        """Return the first block that a learner needs which is so near that all between can be held."""
        nearest = number - self._gatherer.most + 1
        needed = [place.number for place in self._places if place.needs_data]
        return min([number, *(other for other in needed if other >= nearest)])


class Place:
    """Where one learner is in its feed."""

    def __init__(self, feed: Feed, progress: Progress) -> None:
        self._feed = feed
        self._progress = progress
        self._block: Block | None = None

    @property
    def number(self) -> int:
        """The block that the next step needs."""
        return self._feed.number(self._progress)

    @property
    def needs_data(self) -> bool:
        """Whether there is a next step."""
        return not self._progress.trained

    def micro_batches(self) -> list[Batch]:
        """Return those of the next step."""
        if not self._has_next():
            self._block = None  # two blocks are never held
            self._block = self._feed.block(self.number, epochs=self._progress.epochs)
        assert self._block is not None
        return self._block.steps[self._progress.step_in_epoch - self._block.first]

    def upcoming(self, count: int) -> list[list[Batch]]:
        """Return those of up to so many next steps, as far as they are at hand; at least of one."""
        self.micro_batches()
        assert self._block is not None
        first = self._progress.step_in_epoch - self._block.first
        return self._block.steps[first : first + count]

    def is_at(self, other: "Place") -> bool:
        """Whether both get the very same batches next."""
        return self._feed is other._feed and self._progress.where == other._progress.where

    def leaves_behind(self, others: Iterable["Place"]) -> list["Place"]:
        """Return those for which a block would have to be read once more if this learner went on now."""
        if self._has_next() or not self.needs_data:
            return []
        mates = [other for other in others if other._feed is self._feed and other.needs_data]
        return [other for other in mates if self._feed.leaves_behind(self.number, other.number)]

    def _has_next(self) -> bool:
        return self._block is not None and self._block.covers(self._progress.epoch, self._progress.step_in_epoch)
