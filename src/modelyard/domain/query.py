"""Conditions on runs, and what they see of a run. ``domain.query_parser`` reads them from text."""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from modelyard.domain.errors import UserError
from modelyard.domain.run import Run
from modelyard.domain.validation import nearest

Value = str | float | bool | None
"""What a field of a run is compared with."""

RUN_FIELDS = (
    "id", "name", "project", "experiment", "state", "reason", "parent", "priority", "attempt", "step", "epoch"
)  # fmt: skip
"""Fields of a run besides its config and its metrics."""


class Condition(Protocol):
    """A parsed filter."""

    def matches(self, fields: Mapping[str, Value]) -> bool:
        """Whether a run with these fields passes."""
        ...


@dataclass(frozen=True)
class Compare:
    """``field operator value``."""

    field: str
    operator: str
    value: Value

    def matches(self, fields: Mapping[str, Value]) -> bool:
        """Whether the field compares as asked; false for a field that is missing."""
        actual = fields.get(self.field)
        if self.operator in ("=", "!="):
            return (actual is not None or self.value is None) and _equal(actual, self.value) is (self.operator == "=")
        if actual is None or self.value is None:
            return False
        if self.operator in ("~", "!~"):
            return (_text(self.value).lower() in _text(actual).lower()) is (self.operator == "~")
        return _ordered(actual, self.operator, self.value)

    def __str__(self) -> str:
        return f"{_field_text(self.field)} {self.operator} {_value_text(self.value)}"


@dataclass(frozen=True)
class In:
    """``field in (value, ...)``."""

    field: str
    values: tuple[Value, ...]

    def matches(self, fields: Mapping[str, Value]) -> bool:
        """Whether the field equals one of the values."""
        return any(Compare(self.field, "=", value).matches(fields) for value in self.values)

    def __str__(self) -> str:
        return f"{_field_text(self.field)} in ({', '.join(_value_text(value) for value in self.values)})"


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    inner: Condition

    def matches(self, fields: Mapping[str, Value]) -> bool:
        """Whether the inner condition does not match."""
        return not self.inner.matches(fields)

    def __str__(self) -> str:
        return f"not ({self.inner})"


@dataclass(frozen=True)
class All:
    """Every condition matches."""

    parts: tuple[Condition, ...]

    def matches(self, fields: Mapping[str, Value]) -> bool:
        """Whether all parts match."""
        return all(part.matches(fields) for part in self.parts)

    def __str__(self) -> str:
        return " and ".join(f"({part})" for part in self.parts)


@dataclass(frozen=True)
class Either:
    """At least one condition matches."""

    parts: tuple[Condition, ...]

    def matches(self, fields: Mapping[str, Value]) -> bool:
        """Whether any part matches."""
        return any(part.matches(fields) for part in self.parts)

    def __str__(self) -> str:
        return " or ".join(f"({part})" for part in self.parts)


def fields_of(condition: Condition) -> Iterator[str]:
    """Yield every field that the condition names."""
    if isinstance(condition, Compare | In):
        yield condition.field
    elif isinstance(condition, Not):
        yield from fields_of(condition.inner)
    elif isinstance(condition, All | Either):
        for part in condition.parts:
            yield from fields_of(part)


def check_fields(text: str, condition: Condition, known: Collection[str]) -> None:
    """Raise ``UserError`` with the nearest known name for the first field that is in no run."""
    for field in fields_of(condition):
        if field not in known:
            raise UserError(pointed(text, text.find(field), f"no run has a field {field!r}{_hint(field, known)}"))


def run_fields(run: Run, tuned: Mapping[str, Value] | None = None) -> dict[str, Value]:
    """Return what a filter sees of a run: its own fields, its config by dotted path, its metrics' last values.

    ``tuned`` are config fields that were changed while it trained.
    """
    fields: dict[str, Value] = {
        "id": run.id, "name": run.name, "project": run.project, "experiment": run.experiment,
        "state": run.state.value, "reason": run.reason.code.value, "parent": run.parent_id,
        "priority": run.priority, "attempt": run.attempt, "step": run.step, "epoch": run.epoch,
    }  # fmt: skip
    for path, value in (flatten(json.loads(run.spec_json)) | dict(tuned or {})).items():
        fields.setdefault(path, value)
    for name, last in run.summary.items():
        fields.setdefault(name, last)
    return fields


def flatten(value: object, prefix: str = "") -> dict[str, Value]:
    """Flatten nested mappings to dotted paths; a list becomes its compact JSON text."""
    if isinstance(value, Mapping):
        flat: dict[str, Value] = {}
        for key, inner in value.items():
            flat.update(flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    if value is None or isinstance(value, str | int | float | bool):
        return {prefix: value}
    return {prefix: json.dumps(value, separators=(",", ":"), ensure_ascii=False)}


def pointed(text: str, column: int, message: str) -> str:
    """Return a message that points at a column (counted from 0) of a filter."""
    return f"filter, column {column + 1}: {message}\n  {text}\n  {' ' * column}^"


def _hint(field: str, known: Collection[str]) -> str:
    """Offer the nearest name; of a long list of names, none is better than all."""
    hint = nearest(field, sorted(known))
    return hint if hint.startswith("; did you mean") else ""


def _equal(actual: Value, wanted: Value) -> bool:
    if isinstance(actual, bool) or isinstance(wanted, bool) or actual is None or wanted is None:
        return actual is wanted
    if isinstance(actual, str) != isinstance(wanted, str):
        return False
    return actual == wanted


def _ordered(actual: Value, operator: str, wanted: Value) -> bool:
    """Compare two numbers or two texts; anything else has no order."""
    if isinstance(actual, str) and isinstance(wanted, str):
        order = (actual > wanted) - (actual < wanted)
    elif isinstance(actual, int | float) and isinstance(wanted, int | float):
        if math.isnan(actual) or math.isnan(wanted):  # NaN is in no order
            return False
        order = (actual > wanted) - (actual < wanted)
    else:
        return False
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _field_text(field: str) -> str:
    return f"`{field}`"


def _value_text(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(float(value))
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
