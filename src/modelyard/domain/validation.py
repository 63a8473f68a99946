"""Turns pydantic's errors into lines a person can act on: file, line, field, what is wrong, nearest name."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from modelyard.domain.errors import ConfigError

Path = tuple[str | int, ...]
ConfigT = TypeVar("ConfigT", bound=BaseModel)


def validate(model: type[ConfigT], data: Any, *, source: str = "", lines: Mapping[Path, int] | None = None) -> ConfigT:
    """Build ``model`` from JSON-like ``data``. Raises ``ConfigError`` with one line per problem.

    ``lines`` maps the path of each key in the file to its line number, counted from 1.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_describe(model, detail, source, lines or {}) for detail in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(problems))) from error


def nearest(name: str, known: list[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest known name, or the list of them."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def _describe(model: type[BaseModel], detail: ErrorDetails, source: str, lines: Mapping[Path, int]) -> str:
    parents, path = _walk(model, detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        known = sorted({name for parent in parents for name in parent.model_fields})
        message = f"unknown key{nearest(str(path[-1]), known)}"
    elif detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        known = [tag.strip().strip("'") for tag in context["expected_tags"].split(",")]
        message = (
            f"unknown {str(context['discriminator']).strip(chr(39))} {context['tag']!r}{nearest(context['tag'], known)}"
        )
    elif detail["type"] not in {"value_error", "missing", "union_tag_not_found"}:
        message = f"{message} (got {detail['input']!r})"
    where = _place(source, lines, path)
    field = ".".join(str(part) for part in path)
    return f"{where}{field}: {message}" if field else f"{where}{message}"


def _place(source: str, lines: Mapping[Path, int], path: Path) -> str:
    """Return ``file:line: `` for the deepest part of ``path`` that is in the file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return f"{source}:{lines[path[:length]]}: "
    return f"{source}: " if source else ""


def _walk(model: type[BaseModel], loc: Path) -> tuple[list[type[BaseModel]], Path]:
    """Follow ``loc`` through ``model``: return the innermost config classes and the path without union tags."""
    current: list[type[BaseModel]] = [model]
    path: list[str | int] = []
    for part in loc:
        fields = [
            config.model_fields[part] for config in current if isinstance(part, str) and part in config.model_fields
        ]
        if fields:
            path.append(part)
            current = [config for field in fields for config in _configs_in(field.annotation)]
            continue
        tagged = [config for config in current if _tag(config) == part]
        if tagged:
            current = tagged
        elif not _is_schema_name(part):
            path.append(part)
    return current, tuple(path)


def _tag(config: type[BaseModel]) -> str | None:
    for name in ("name", "source", "kind", "type"):
        field = config.model_fields.get(name)
        if field is not None and isinstance(field.default, str):
            return field.default
    return None


def _is_schema_name(part: str | int) -> bool:
    """Whether pydantic put ``part`` into the location for a branch of a union, not for a key of the input."""
    return isinstance(part, str) and ("[" in part or part in {"int", "float", "str", "bool"})


def _configs_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _configs_in(argument)
