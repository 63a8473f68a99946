"""Turns a column of labels, as sources store them, into class numbers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.tasks.image_classification.data.source import Ints, SplitKey

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Labels:
    """Raw labels of one split: integers, whole floats, booleans or names; ``name`` says where they are from."""

    name: str
    values: Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class IndexedLabels:
    """Class names, and int64 class numbers for each split (-1 where a problem was found)."""

    classes: tuple[str, ...]
    of: Mapping[SplitKey, Ints]
    problems: tuple[str, ...]


def index_labels(columns: Mapping[SplitKey, Labels], *, names: Sequence[str] | None = None) -> IndexedLabels:
    """Number the labels.

    With ``names`` (a ClassLabel feature), integers index them. Without, the classes are the distinct labels of the
    training split: integers in numeric order, names in alphabetic order. Problems found: missing and NaN labels,
    fractions, negative numbers, numbers outside ``names``, and classes that only val or test has.
    """
    problems: list[str] = []
    cleaned = {key: _clean(column, problems) for key, column in columns.items()}
    known: list[int | str]
    if names is not None:
        classes = tuple(names)
        known = list(names if any(isinstance(value, str) for value in cleaned["train"]) else range(len(names)))
    else:
        found = {value for value in cleaned["train"] if value is not None}
        known = sorted(found, key=lambda value: (isinstance(value, str), value))
        classes = tuple(str(value) for value in known)
    numbers = {value: number for number, value in enumerate(known)}
    indexed = {key: _look_up(columns[key].name, values, numbers, problems) for key, values in cleaned.items()}
    return IndexedLabels(classes=classes, of=indexed, problems=tuple(problems))


def _clean(column: Labels, problems: list[str]) -> list[int | str | None]:
    """Return integers and names; None, once reported, for what is neither."""
    cleaned: list[int | str | None] = []
    wrong: dict[str, list[int]] = {}
    for row, value in enumerate(column.values):
        complaint = _complaint(value)
        if complaint:
            wrong.setdefault(complaint, []).append(row)
        cleaned.append(None if complaint else value if isinstance(value, str) else int(value))
    for complaint, rows in wrong.items():
        problems.append(f"{column.name}: {complaint} in {_rows(rows)}; every image needs a class")
    kinds = {type(value) for value in cleaned if value is not None}
    if len(kinds) > 1:
        problems.append(f"{column.name}: mixes numbers and names; use one of them")
    return cleaned


def _complaint(value: Any) -> str:
    if value is None or value == "":
        return "missing label"
    if isinstance(value, str):
        return ""
    if not isinstance(value, (int, float, np.integer, np.floating)):
        return f"label of type {type(value).__name__}"
    if isinstance(value, (float, np.floating)) and not math.isfinite(value):
        return f"label {value}"
    if value != int(value):
        return f"label {value}, which is not a whole number,"
    return f"negative label {int(value)}" if value < 0 else ""


def _look_up(
    name: str, values: Iterable[int | str | None], numbers: Mapping[int | str, int], problems: list[str]
) -> Ints:
    indexed: list[int] = []
    unknown: dict[int | str, list[int]] = {}
    for row, value in enumerate(values):
        number = -1 if value is None else numbers.get(value, -1)
        if number < 0 and value is not None:
            unknown.setdefault(value, []).append(row)
        indexed.append(number)
    for value, rows in list(unknown.items())[:_SHOWN]:
        problems.append(f"{name}: label {value!r} in {_rows(rows)} is not among the {len(numbers)} training classes")
    if len(unknown) > _SHOWN:
        problems.append(f"{name}: {len(unknown) - _SHOWN} more unknown labels")
    return np.array(indexed, dtype=np.int64)


def _rows(rows: Sequence[int]) -> str:
    """Name some rows, counted from 0."""
    shown = ", ".join(str(row) for row in rows[:_SHOWN])
    if len(rows) == 1:
        return f"row {shown}"
    return f"rows {shown}" if len(rows) <= _SHOWN else f"rows {shown} and {len(rows) - _SHOWN} more"
