"""Turns pydantic's errors into lines a person can act on: file, line, field, what is wrong, nearest name."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from modelyard.domain.errors import ConfigError
from modelyard.domain.introspection import alternatives, configs, describe, kinds, tag

Path = tuple[str | int, ...]
ConfigT = TypeVar("ConfigT", bound=BaseModel)


def validate(model: type[ConfigT], data: Any, *, source: str = "", lines: Mapping[Path, int] | None = None) -> ConfigT:
    """Build ``model`` from JSON-like ``data``. Raises ``ConfigError`` with one line per problem.

    ``lines`` maps the path of each key in the file to its line number, counted from 1.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_locate(model, detail) for detail in error.errors()]
        told = [_tell(problem, source, lines or {}) for problem in _one_per_union(problems)]
        raise ConfigError("\n".join(dict.fromkeys(told))) from error


def nearest(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest known name, or the list of all."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """One of pydantic's errors, with its location told apart into keys of the input and pydantic's own labels."""

    detail: ErrorDetails
    path: Path
    """Keys and positions in the input."""
    types: tuple[Any, ...]
    """What may stand there."""
    union: Path | None
    """Path of the value that was tried against several types, of which this error is about one."""


def _locate(model: type[BaseModel], detail: ErrorDetails) -> _Problem:
    """Follow the error's location through the types of ``model``."""
    types: tuple[Any, ...] = (model,)
    path: Path = ()
    union: Path | None = None
    for part in detail["loc"]:
        if below := _below(types, part):
            types, path = below, (*path, part)
        elif part == "[key]":  # the key before it is wrong, not its value
            types = (str,)
        elif part in (named := kinds(_classes(types))):
            types = (named[str(part)],)
        elif detail["type"] == "extra_forbidden":
            path = (*path, part)
        elif union is None:
            union = path
    return _Problem(detail=detail, path=path, types=types, union=union)


def _below(types: Sequence[Any], part: str | int) -> tuple[Any, ...]:
    """Return the types of what is at key or position ``part`` of a value of ``types``; empty if nothing can be."""
    found: list[Any] = []
    for member in types:
        origin, arguments = get_origin(member), get_args(member)
        if isinstance(part, int) and origin in {tuple, list}:
            found += [*arguments[:1]] if Ellipsis in arguments or origin is list else [*arguments[part : part + 1]]
        elif origin is dict and len(types) == 1:
            found.append(arguments[1])
        else:
            found += [config.model_fields[part].annotation for config in configs(member) if part in config.model_fields]
    return tuple(member for annotation in found for member in alternatives(annotation))


def _classes(types: Sequence[Any]) -> list[type[BaseModel]]:
    return [config for member in types for config in configs(member)]


def _one_per_union(problems: Sequence[_Problem]) -> Iterator[_Problem]:
    """Of the errors about one value that fits none of several types, keep the one about the type that was meant."""
    best: dict[Path, _Problem] = {}
    for problem in problems:
        if problem.union is not None:
            best[problem.union] = max(best.get(problem.union, problem), problem, key=_closeness)
    for problem in problems:
        if problem.union is None or best[problem.union] is problem:
            yield problem


def _closeness(problem: _Problem) -> tuple[int, bool]:
    """Order errors by how well the value fits their type: its items are checked, its range is, or it is none."""
    return len(problem.path), not _is_wrong_type(problem.detail)


def _is_wrong_type(detail: ErrorDetails) -> bool:
    return detail["type"].endswith(("_type", "_parsing", "_from_float")) or detail["type"] == "literal_error"


def _tell(problem: _Problem, source: str, lines: Mapping[Path, int]) -> str:
    field = ".".join(str(part) for part in problem.path)
    message = _message(problem)
    where = _place(source, lines, (*problem.path, *_named_path(message)))
    return f"{where}{field}: {message}" if field else f"{where}{message}"


def _named_path(message: str) -> Path:
    """Return the field, below where a check was made, that its message begins with: ``training.epochs: ...``."""
    found = re.match(r"([a-z]\w*(?:\.\w+)*): ", message)
    return tuple(int(part) if part.isdigit() else part for part in found[1].split(".")) if found else ()


def _place(source: str, lines: Mapping[Path, int], path: Path) -> str:
    """Return ``file:line: `` for the deepest part of ``path`` that is in the file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return f"{source}:{lines[path[:length]]}: "
    return f"{source}: " if source else ""


def _message(problem: _Problem) -> str:
    detail = problem.detail
    if detail["type"] in _SENTENCES:
        return _SENTENCES[detail["type"]](problem)
    if _is_wrong_type(detail):
        return f"expected {describe(problem.types)} (got {detail['input']!r})"
    return f"{detail['msg'].replace('Input should be', 'must be')} (got {detail['input']!r})"


def _unknown_key(problem: _Problem) -> str:
    known = sorted({name for config in _classes(problem.types) for name in config.model_fields})
    return f"unknown key{nearest(str(problem.path[-1]), known)}"


def _unknown_kind(problem: _Problem) -> str:
    name = str(problem.detail["ctx"]["tag"])
    known = kinds(_classes(problem.types))
    return f"unknown {_tag_name(problem)} {name!r}{nearest(name, list(known))}"


def _no_kind(problem: _Problem) -> str:
    return f"the key {_tag_name(problem)!r} is missing; it is one of {', '.join(kinds(_classes(problem.types)))}"


def _tag_name(problem: _Problem) -> str:
    return next((tagged[0] for config in _classes(problem.types) if (tagged := tag(config)) is not None), "name")


_SENTENCES: Mapping[str, Callable[[_Problem], str]] = {
    "extra_forbidden": _unknown_key,
    "union_tag_invalid": _unknown_kind,
    "union_tag_not_found": _no_kind,
    "missing": lambda _: "this is missing, and it has no default",
    "value_error": lambda problem: problem.detail["msg"].removeprefix("Value error, "),
    "too_short": lambda problem: f"has fewer than {problem.detail['ctx']['min_length']} items",
    "too_long": lambda problem: f"has more than {problem.detail['ctx']['max_length']} items",
}
