"""A small language that picks runs: ``val_accuracy > 0.9 and state = completed``.

Grammar (words in capitals are matched in any case)::

    either     := all (OR all)*
    all        := one (AND one)*
    one        := NOT one | "(" either ")" | test
    test       := field operator value | field [NOT] IN "(" value ("," value)* ")"
    operator   := "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"

A field is a bare word or stands between backticks; a value is a number, ``true``, ``false``, ``null``, a bare word or
a quoted string. ``~`` means "contains", without regard to case. A test of a field that a run does not have is false,
except that such a field equals ``null``.
"""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, Protocol

from modelyard.domain.errors import UserError
from modelyard.domain.run import Run
from modelyard.domain.validation import nearest

Value = str | float | bool | None
"""What a field of a run is compared with."""

RUN_FIELDS = (
    "id", "name", "project", "experiment", "state", "reason", "parent", "priority", "attempt", "step", "epoch"
)  # fmt: skip
"""Fields of a run besides its config and its metrics."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<operator>==|!=|!~|<=|>=|[=<>~(),])
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<field>`[^`]+`)
      | (?P<word>[^\s=!<>~(),"'`]+)
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("==", "=", "!=", "<=", "<", ">=", ">", "~", "!~")
_KEYWORDS = frozenset({"and", "or", "not", "in"})


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


def parse(text: str) -> Condition:
    """Parse a filter. Raises ``UserError`` that points at the column (counted from 1) of the mistake."""
    return _Parser(text).parse()


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
            raise UserError(_pointed(text, text.find(field), f"no run has a field {field!r}{_hint(field, known)}"))


def run_fields(run: Run) -> dict[str, Value]:
    """Return what a filter sees of a run: its own fields, its config by dotted path, its metrics' last values."""
    fields: dict[str, Value] = {
        "id": run.id, "name": run.name, "project": run.project, "experiment": run.experiment,
        "state": run.state.value, "reason": run.reason.code.value, "parent": run.parent_id,
        "priority": run.priority, "attempt": run.attempt, "step": run.step, "epoch": run.epoch,
    }  # fmt: skip
    for path, value in flatten(json.loads(run.spec_json)).items():
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


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int

    @property
    def keyword(self) -> str:
        return self.text.lower() if self.kind == "word" else ""


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.position = 0

    def parse(self) -> Condition:
        condition = self._either()
        if self._current.kind != "end":
            self._fail("expected 'and', 'or' or the end")
        return condition

    def _either(self) -> Condition:
        parts = [self._all()]
        while self._accept_keyword("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._accept_keyword("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Condition:
        if self._accept_keyword("not"):
            return Not(self._one())
        if self._accept("("):
            inner = self._either()
            self._expect(")")
            return inner
        return self._test()

    def _test(self) -> Condition:
        field = self._field()
        if self._accept_keyword("not"):
            if not self._accept_keyword("in"):
                self._fail("expected 'in' after 'not'")
            return Not(In(field, self._values()))
        if self._accept_keyword("in"):
            return In(field, self._values())
        token = self._current
        if token.kind != "operator" or token.text not in _COMPARISONS:
            self._fail(f"expected a comparison after {field!r}: one of {' '.join(_COMPARISONS)} or 'in'")
        self.position += 1
        return Compare(field, "=" if token.text == "==" else token.text, self._value())

    def _field(self) -> str:
        token = self._current
        if token.kind == "field":
            self.position += 1
            return token.text[1:-1]
        if token.kind != "word" or token.keyword in _KEYWORDS:
            self._fail("expected a field, such as val_accuracy or optimizer.learning_rate")
        self.position += 1
        return token.text

    def _values(self) -> tuple[Value, ...]:
        self._expect("(")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        self._expect(")")
        return tuple(values)

    def _value(self) -> Value:
        token = self._current
        if token.kind not in ("word", "quoted") or token.keyword in _KEYWORDS:
            self._fail("expected a value: a number, a word or a quoted text")
        self.position += 1
        return _unquote(token.text) if token.kind == "quoted" else _typed(token.text)

    @property
    def _current(self) -> _Token:
        return self.tokens[self.position]

    def _accept(self, text: str) -> bool:
        found = self._current.kind == "operator" and self._current.text == text
        self.position += found
        return found

    def _accept_keyword(self, keyword: str) -> bool:
        found = self._current.keyword == keyword
        self.position += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._fail(f"expected {text!r}")

    def _fail(self, message: str) -> NoReturn:
        raise UserError(_pointed(self.text, self._current.column, message))


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            column = position + len(text[position:]) - len(text[position:].lstrip())
            raise UserError(_pointed(text, column, f"cannot read {text[column]!r} here"))
        yield _Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
        position = match.end()
    yield _Token("end", "", end)


def _pointed(text: str, column: int, message: str) -> str:
    return f"filter, column {column + 1}: {message}\n  {text}\n  {' ' * column}^"


def _hint(field: str, known: Collection[str]) -> str:
    """Offer the nearest name; of a long list of names, none is better than all."""
    hint = nearest(field, sorted(known))
    return hint if hint.startswith("; did you mean") else ""


def _typed(word: str) -> Value:
    constants: dict[str, Value] = {"true": True, "false": False, "null": None}
    if word.lower() in constants:
        return constants[word.lower()]
    try:
        return float(word)
    except ValueError:
        return word


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


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
