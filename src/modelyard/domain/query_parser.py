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

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from modelyard.domain.errors import UserError
from modelyard.domain.query import All, Compare, Condition, Either, In, Not, Value, pointed

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


def parse(text: str) -> Condition:
    """Parse a filter. Raises ``UserError`` that points at the column (counted from 1) of the mistake."""
    return _Parser(text).parse()


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
        raise UserError(pointed(self.text, self._current.column, message))


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            column = position + len(text[position:]) - len(text[position:].lstrip())
            raise UserError(pointed(text, column, f"cannot read {text[column]!r} here"))
        yield _Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
        position = match.end()
    yield _Token("end", "", end)


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
