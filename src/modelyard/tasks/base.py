"""What a task gives the engine: data by sample number, and what to do with a batch. The engine knows nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from modelyard.domain.config import RunSpec
from modelyard.tasks.frozen_part import FrozenPart, FrozenParts
from modelyard.tasks.nested import Nested, leaves, map_tensors, split


class SplitName(StrEnum):
    """The three parts of a data set."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Batch:
    """Samples on the device, before augmentation and normalisation.

    ``inputs`` are uint8 [B, C, H, W] for images and ``targets`` int64 [B]; other tasks may nest tensors [B, ...].
    ``samples`` are int64 [B] numbers within the split; they stay on the host.
    """

    inputs: Nested
    targets: Nested
    samples: Tensor
    _made: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, key: str, make: Callable[[], Tensor]) -> Tensor:
        """Return what ``make`` returned to the first that asked under this ``key``; nobody may change it."""
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = make()
        return made

    def __len__(self) -> int:
        return self.samples.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs."""
        return sum(tensor.nbytes for tensor in leaves(self.inputs))

    @property
    def shapes(self) -> Sequence[torch.Size]:
        """The shape of each tensor of the inputs."""
        return [tensor.shape for tensor in leaves(self.inputs)]

    def to(self, device: torch.device) -> Self:
        """Return it on ``device``."""
        if device.type == "cpu":
            return self

        def move(tensor: Tensor) -> Tensor:
            # On others than CUDA's the host's memory may be reused before the copy is done.
            return tensor.to(device, non_blocking=device.type == "cuda")

        return type(self)(map_tensors(move, self.inputs), map_tensors(move, self.targets), self.samples)

    def split(self, sizes: Sequence[int]) -> list[Self]:
        """Cut it into batches of these sizes."""
        parts = (split(self.inputs, sizes), split(self.targets, sizes), torch.split(self.samples, list(sizes)))
        return [type(self)(*part) for part in zip(*parts, strict=True)]


class TaskData(Protocol):
    """An opened data set; shared by every run of a process that reads the same."""

    sample_bytes: int
    """Size of one sample's input."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a run could see of the data. Raises ``DataError`` for data that cannot be read."""
        ...

    def size(self, split: SplitName) -> int:
        """Number of samples; 0 for a split that does not exist."""
        ...

    def batch(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> Batch:
        """Return the given samples on the host. Raises ``DataError`` for one that cannot be read.

        May be called from several threads at once where ``unread`` is ever more than 0.
        """
        ...

    def unread(self, split: SplitName, samples: np.ndarray[Any, np.dtype[np.int64]]) -> int:
        """How many of the samples ``batch`` would have to read or decode now, so that it pays to do it ahead."""
        ...


Model = Callable[..., Nested]
"""A module, or what computes the same."""


def call(model: Model, inputs: Nested) -> Nested:
    """Give a model its inputs: the usual ``Problem.forward``."""
    return model(inputs)


class Problem(Protocol):
    """One run's model, and what is done with a batch."""

    model: nn.Module
    metadata: Mapping[str, Any]
    """What prediction needs besides config and weights, as JSON: labels, preprocessing. Saved in every checkpoint."""

    @property
    def forward(self) -> Callable[[Model, Nested], Nested]:
        """What computes the outputs of a model for inputs: ``call``, for a model that is just called with them."""
        ...

    @property
    def has_rules(self) -> bool:
        """Whether the rules of ``tasks.stacked`` hold for its model and inputs; else ``vmap`` may do."""
        ...

    @property
    def draws_in_evaluation(self) -> bool:
        """Whether ``evaluate`` may draw random numbers."""
        ...

    def training_inputs(self, batch: Batch, *, epoch: int) -> tuple[Nested, Nested]:
        """Augment and normalise; return what the model gets and what the loss gets."""
        ...

    def loss(self, outputs: Nested, targets: Nested) -> Tensor:
        """Return the mean loss (scalar) of a model's outputs."""
        ...

    def start_evaluation(self) -> None:
        """Forget what was measured."""
        ...

    def evaluate(self, model: nn.Module, batch: Batch) -> Tensor:
        """Predict, add to the metrics, and return the mean loss (scalar)."""
        ...

    def finish_evaluation(self) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """Return the metrics by name, and artifacts (JSON) by name."""
        ...


@runtime_checkable
class ScoresSamples(Protocol):
    """A problem that may score each sample of a validation between 0 and 1; more is better."""

    keep_scores: bool
    """Whether the scores of the next evaluations are kept. Setting it raises ``ConfigError`` if it has none."""

    def take_scores(self) -> bytes:
        """Return the packed scores of the last evaluation, in the order of its samples, and forget them."""
        ...


class Features(TaskData, Protocol):
    """What a frozen part of a model makes of a data set: inputs for the rest of it. To be prepared before use."""

    computed: int
    """Samples that this process computed; the others were found in files."""

    @property
    def prepared(self) -> bool:
        """Whether all are there."""
        ...

    def prepare(self, compute: Callable[[Batch], Tensor]) -> None:
        """Find the next few in a file, or ``compute`` them. Raises ``DataError``, or ``StoreError`` on a full disk."""
        ...


@runtime_checkable
class FrozenProblem(Protocol):
    """A problem whose model may begin with a frozen part, so that it could get the part's outputs as its inputs."""

    def frozen_part(self, parts: FrozenParts) -> FrozenPart | None:
        """Return the frozen part, one of ``parts`` if it is the very same; None without one.

        What it makes of the data depends on that, on the problem's ``metadata``, and on arithmetic.
        """
        ...

    def open_features(
        self, data: TaskData, *, device: torch.device, memory_bytes: int, folder: Callable[[int], Path | None]
    ) -> Features | None:
        """Return the features of ``data``; None if the model has no such border, or there is no place for them.

        ``memory_bytes`` may be kept in memory; ``folder`` returns where a number of bytes may be kept on the disk.
        """
        ...

    def features(self, batch: Batch) -> Tensor:
        """Return what the frozen part makes of a batch: float [B, ...]."""
        ...

    def use_features(self, features: Features, models: Sequence[nn.Module], parts: FrozenParts) -> Sequence[FrozenPart]:
        """Take the ``features`` as inputs from now on; ``models`` are this problem's and copies of it.

        They give up their frozen parts, and get those of ``parts`` to show in their weights. Returns these, in order.
        """
        ...


class ProblemStack(Protocol):
    """What K problems that train as one model do with their batches. Each gets what it would get alone."""

    def training_inputs(self, batches: Sequence[Batch], *, epochs: Sequence[int]) -> tuple[Nested, Sequence[Nested]]:
        """Augment and normalise a batch of every member (the very same object where members share it).

        Returns the models' inputs [K, B, ...], or [1, B, ...] if all members get the same, and each member's targets.
        """
        ...

    def losses(self, outputs: Nested, targets: Sequence[Nested]) -> tuple[Tensor, Callable[[Tensor], Nested]]:
        """Return each member's mean loss, [K], of the outputs [K, B, ...], and the way back.

        That takes a factor for each loss, [K], and returns the gradient of the outputs. No tensor here has a graph.
        """
        ...


Saved = Mapping[str, Any] | None
"""``Problem.metadata`` as a checkpoint of the same run kept it, if there is one."""


class Predictor(Protocol):
    """A trained model and what it needs to read a file."""

    def predict(self, file: Path) -> Mapping[str, float]:
        """Return the probability of every class. Raises ``DataError`` for a file that cannot be read."""
        ...


class Task(Protocol):
    """Builds all of these from a run's config."""

    def data_key(self, spec: RunSpec, saved: Saved = None) -> str:
        """Equal keys mean that two runs can share one opened data set."""
        ...

    def open_data(self, spec: RunSpec, saved: Saved = None) -> TaskData:
        """Open the data. Raises ``DataError`` or ``ConfigError``."""
        ...

    def build(self, spec: RunSpec, data: TaskData, saved: Saved = None) -> Problem:
        """Build the model (initial weights from the global random state) and the parts around it.

        With ``saved`` the weights are loaded afterwards, and nothing outside the checkpoint and the data is read.
        """
        ...

    def stack(self, problems: Sequence[Problem]) -> ProblemStack:
        """Return what does the problems' work together; they are of this task and of one structure."""
        ...

    def predictor(self, spec: RunSpec, metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Predictor:
        """Build a predictor from what a checkpoint holds, and nothing else."""
        ...
