"""Nested state (dicts, lists, tensors, numbers) to flat tensors plus JSON, and back. No pickle anywhere.

A tensor's place is taken in the JSON by ``{"$tensor": key}``; a dict with keys that are not strings becomes
``{"$items": [[key, value], ...]}``, a tuple ``{"$tuple": [...]}``, and NaN ``{"$float": "nan"}`` (infinities too).
Two names of one tensor (tied weights) share a key.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_RESERVED = ("$tensor", "$items", "$tuple", "$float")


def flatten(state: Any) -> tuple[dict[str, Tensor], Any]:
    """Split ``state`` into tensors by key and a JSON-compatible rest. Raises ``TypeError`` for anything else."""
    tensors: dict[str, Tensor] = {}
    seen: dict[tuple[Any, ...], str] = {}
    return tensors, _flatten(state, "", tensors, seen)


def unflatten(tensors: Mapping[str, Tensor], rest: Any) -> Any:
    """Put together what ``flatten`` took apart."""
    if isinstance(rest, list):
        return [unflatten(tensors, item) for item in rest]
    if isinstance(rest, dict):
        return _unflatten_mapping(tensors, rest)
    return rest


def _unflatten_mapping(tensors: Mapping[str, Tensor], rest: dict[str, Any]) -> Any:
    if "$tensor" in rest:
        return tensors[rest["$tensor"]]
    if "$float" in rest:
        return float(rest["$float"])
    if "$items" in rest:
        return {key: unflatten(tensors, value) for key, value in rest["$items"]}
    if "$tuple" in rest:
        return tuple(unflatten(tensors, item) for item in rest["$tuple"])
    return {key: unflatten(tensors, value) for key, value in rest.items()}


def _flatten(value: Any, path: str, tensors: dict[str, Tensor], seen: dict[tuple[Any, ...], str]) -> Any:
    if isinstance(value, Tensor):
        return {"$tensor": _add(value.detach(), path, tensors, seen)}
    if isinstance(value, Mapping):
        return _flatten_mapping(value, path, tensors, seen)
    if isinstance(value, tuple):
        return {"$tuple": [_flatten(item, f"{path}.{index}", tensors, seen) for index, item in enumerate(value)]}
    if isinstance(value, list):
        return [_flatten(item, f"{path}.{index}", tensors, seen) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"state at {path!r} is a {type(value).__name__}; only tensors and JSON values can be saved")


def _flatten_mapping(
    value: Mapping[Any, Any], path: str, tensors: dict[str, Tensor], seen: dict[tuple[Any, ...], str]
) -> Any:
    plain = all(isinstance(key, str) and key not in _RESERVED for key in value)
    items = [(key, _flatten(item, f"{path}.{key}" if path else str(key), tensors, seen)) for key, item in value.items()]
    return dict(items) if plain else {"$items": [list(item) for item in items]}


def _add(tensor: Tensor, path: str, tensors: dict[str, Tensor], seen: dict[tuple[Any, ...], str]) -> str:
    identity = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)
    if tensor.numel() and identity in seen:
        return seen[identity]
    seen[identity] = path
    tensors[path] = tensor.to("cpu", memory_format=torch.contiguous_format).contiguous()
    return path
