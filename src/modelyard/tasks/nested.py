"""Nested tensors: a tensor, or tuples, lists and dicts of them, as batches and outputs of models are."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Nested = Any
"""A tensor, or a tuple, list or dict (or what transformers returns from a model) of nested tensors."""


def leaves(value: Nested) -> Iterator[Tensor]:
    """Yield the tensors, in a fixed order."""
    return (leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor))


def map_tensors(function: Callable[[Tensor], Tensor], value: Nested) -> Nested:
    """Return the same with ``function`` of each tensor in its place."""
    return pytree.tree_map_only(Tensor, function, value)


def split(value: Nested, sizes: Sequence[int]) -> list[Nested]:
    """Cut every tensor along its first dimension; return one nested value for each size."""
    if isinstance(value, Tensor):
        return list(torch.split(value, list(sizes)))
    flat, shape = pytree.tree_flatten(value)
    parts = zip(*(torch.split(tensor, list(sizes)) for tensor in flat), strict=True) if flat else [()] * len(sizes)
    return [pytree.tree_unflatten(list(part), shape) for part in parts]


def stack(values: Sequence[Nested]) -> Nested:
    """Return nested tensors [K, ...] of K nested values of one form."""
    if isinstance(values[0], Tensor):
        return torch.stack(list(values))
    flat = [pytree.tree_flatten(value) for value in values]
    tensors = [torch.stack(list(same)) for same in zip(*(leaves for leaves, _ in flat), strict=True)]
    return pytree.tree_unflatten(tensors, flat[0][1])


def unbind(value: Nested, size: int) -> list[Nested]:
    """Take nested tensors [K, ...] apart into K nested values; what is no tensor is the same in all."""
    flat, shape = pytree.tree_flatten(value)
    parts = [leaf.unbind(0) if isinstance(leaf, Tensor) else (leaf,) * size for leaf in flat]
    return [pytree.tree_unflatten(list(part), shape) for part in zip(*parts, strict=True)]
