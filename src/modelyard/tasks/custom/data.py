"""The data of a user's class: by sample number, with a fingerprint."""

import hashlib
import random
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.data import TensorDataset, default_collate

from modelyard.domain.errors import DataError
from modelyard.domain.parts.usercode import Custom
from modelyard.tasks.base import Batch, SplitName
from modelyard.tasks.custom.contract import SIGNATURES
from modelyard.tasks.nested import Nested, leaves, map_tensors
from modelyard.tasks.usercode import RAISED, explained, noted

Indices = np.ndarray[Any, np.dtype[np.int64]]

_READ_AT_ONCE = 256
_READ_TWICE = 4
"""Samples of each split that are read again, to see whether they stay the same."""


class Split(Protocol):
    """Samples of one split."""

    def __len__(self) -> int: ...

    def batch(self, samples: Indices) -> Nested:
        """Return some samples, stacked."""
        ...


class TensorSplit:
    """Tensors [N, ...] in memory."""

    def __init__(self, tensors: Nested) -> None:
        self._tensors = tensors
        self._size = len(next(leaves(tensors)))

    def __len__(self) -> int:
        return self._size

    def batch(self, samples: Indices) -> Nested:
        """Return some samples, stacked."""
        index = torch.from_numpy(samples)
        return map_tensors(lambda tensor: tensor[index], self._tensors)


class DatasetSplit:
    """A map-style data set, read sample by sample."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def batch(self, samples: Indices) -> Nested:
        """Return some samples, stacked as ``torch.utils.data.default_collate`` does it."""
        batch = default_collate([self._dataset[int(index)] for index in samples])
        if len(list(leaves(batch))) != len(pytree.tree_leaves(batch)):
            raise TypeError("a sample may hold tensors, arrays and numbers only, such as token numbers for a text")
        return batch


class CustomData:
    """What ``data()`` returned, and the object that returned it."""

    fingerprint: str
    sample_bytes: int

    def __init__(self, config: Custom, owner: Any) -> None:
        """Call ``data()``, with the same random numbers each time. Raises ``DataError``."""
        self.owner = owner
        """The object whose ``data()`` it was; what that left on it is there for ``build``."""
        self._config = config
        seed_generators(0)
        with noted(config, f"{config.class_name}.{SIGNATURES['data']}"):
            returned = owner.data()
        self._splits = self._open(returned)
        digest = hashlib.sha256()
        for name in SplitName:
            self._hash_split(name, digest)
        self.fingerprint = digest.hexdigest()
        self.sample_bytes = max(1, self.batch(SplitName.TRAIN, np.zeros(1, dtype=np.int64)).nbytes)

    def size(self, split: SplitName) -> int:
        """Number of samples; 0 for a split that does not exist."""
        return len(self._splits[split]) if split in self._splits else 0

    def batch(self, split: SplitName, samples: Indices) -> Batch:
        """Return the given samples on the host. Raises ``DataError`` for one that cannot be read."""
        try:
            with noted(self._config, f"the {split} data"):
                nested = self._splits[split].batch(samples)
        except MemoryError:
            raise
        except RAISED as error:
            raise DataError(f"{explained(error, self._config)} (samples {_few(samples)})") from error
        return Batch(inputs=nested, targets=(), samples=torch.from_numpy(samples))

    def unread(self, split: SplitName, samples: Indices) -> int:
        """Return 0: nothing is read ahead of its step, since a user's class may not bear several threads."""
        return 0

    def _open(self, returned: Any) -> Mapping[SplitName, Split]:
        if not isinstance(returned, Mapping) or SplitName.TRAIN.value not in returned:
            raise self._error(f"data() returned {_kind(returned)}, not a dict with 'train'")
        unknown = sorted(str(key) for key in returned if key not in set(SplitName))
        if unknown:
            raise self._error(f"data() returned the split {unknown[0]!r}; there are train, val and test")
        given = {SplitName(key): value for key, value in returned.items() if value is not None}
        return {name: self._split(name, value) for name, value in given.items()}

    def _split(self, name: SplitName, value: Any) -> Split:
        if isinstance(value, TensorDataset):
            value = value.tensors
        if isinstance(value, Tensor | np.ndarray | tuple | Mapping):  # a list is one of samples
            split: Split = self._tensors(name, value)
        elif hasattr(value, "__len__") and hasattr(value, "__getitem__"):
            split = DatasetSplit(value)
        else:
            raise self._error(
                f"the {name} split is {_kind(value)}; return tensors [N, ...], or a data set with len() and [index]"
            )
        if not len(split):
            raise self._error(f"the {name} split has no samples; leave it out")
        return split

    def _tensors(self, name: SplitName, value: Any) -> TensorSplit:
        nested = _as_tensors(value)
        sizes = [len(tensor) if tensor.ndim else None for tensor in leaves(nested)]
        if not sizes or None in sizes or len(set(sizes)) > 1:
            raise self._error(
                f"the {name} split has tensors of lengths {', '.join(map(str, sizes)) or 'none'}; "
                "the first dimension is the samples, so all must be alike"
            )
        return TensorSplit(nested)

    def _hash_split(self, name: SplitName, digest: Any) -> None:
        """Add every sample of a split to the fingerprint. Raises ``DataError`` for samples that are random."""
        size = self.size(name)
        digest.update(f"{name} {size}".encode())
        for start in range(0, size, _READ_AT_ONCE):
            seed_generators(start)
            add_tensors(digest, self.batch(name, np.arange(start, min(start + _READ_AT_ONCE, size))).inputs)
        first, again = (hashlib.sha256(), hashlib.sha256())
        for seed, copy in ((1, first), (2, again)):
            seed_generators(seed)
            if size:
                add_tensors(copy, self.batch(name, np.arange(min(_READ_TWICE, size))).inputs)
        if first.digest() != again.digest():
            raise self._error(
                f"the {name} data give another sample each time; return the same for the same index, and do random "
                "work in the model or in forward(), whose random numbers belong to the run"
            )

    def _error(self, message: str) -> DataError:
        return DataError(f"{self._config.file}: {self._config.class_name}: {message}")


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch. No learner may be active."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def add_tensors(digest: Any, nested: Nested) -> None:
    """Add nested tensors to a hash: their types, shapes and bytes."""
    for tensor in leaves(nested):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)


def _as_tensors(value: Any) -> Nested:
    if isinstance(value, Mapping):
        return {str(key): _as_tensors(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_as_tensors(item) for item in value)
    return torch.as_tensor(value)


def _few(samples: Indices) -> str:
    return ", ".join(map(str, samples[:4].tolist())) + (" ..." if len(samples) > 4 else "")


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
