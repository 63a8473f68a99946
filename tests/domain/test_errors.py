"""The tree of errors that users and scripts rely on: the docstring draws it, the classes are it."""

import re
from collections.abc import Iterator

import pytest

from modelyard.domain import errors
from modelyard.domain.errors import CorruptBlobError, ModelyardError, NonFiniteLossError

_LINE = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>\w+)\s+(?P<code>\d)\s+\S")


def drawn() -> Iterator[tuple[str, int, str | None]]:
    """Yield name, exit code and parent of each line of the drawing."""
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := _LINE.match(line):
            depth = len(match["indent"]) // 4
            parents[depth:] = [match["name"]]
            yield match["name"], int(match["code"]), parents[depth - 1] if depth else None


def all_errors() -> list[type[ModelyardError]]:
    found = [ModelyardError]
    for error in found:
        found += error.__subclasses__()
    return [error for error in found if error.__module__ == errors.__name__]


def test_the_drawing_and_the_classes_are_the_same() -> None:
    assert {name for name, _, _ in drawn()} == {error.__name__ for error in all_errors()}


@pytest.mark.parametrize(("name", "code", "parent"), list(drawn()))
def test_a_class_has_the_parent_and_the_exit_code_that_are_drawn(name: str, code: int, parent: str | None) -> None:
    error = getattr(errors, name)
    assert error.exit_code == code
    assert error.__base__.__name__ == (parent or "Exception")


def test_errors_carry_what_a_handler_needs() -> None:
    assert CorruptBlobError("sha256:ab", "gone").digest == "sha256:ab"
    assert NonFiniteLossError(7, "NaN").step == 7
    assert str(NonFiniteLossError(7, "NaN")) == "NaN"
