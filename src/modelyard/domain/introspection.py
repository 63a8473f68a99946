"""Reads config classes: the fields, kinds and value types that validation, search and the docs are made from."""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

ConfigClass = type[BaseModel]

TAG_FIELDS = ("name", "source", "kind", "type")
"""Fields that say which kind of part a config is."""


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a (nested, annotated) union, or ``annotation`` alone."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return tuple(member for argument in get_args(annotation) for member in alternatives(argument))
    return (annotation,)


def configs(annotation: Any) -> tuple[ConfigClass, ...]:
    """Return the config classes that a value of this type may be; those inside a list or a mapping do not count."""
    return tuple(
        member for member in alternatives(annotation) if isinstance(member, type) and issubclass(member, BaseModel)
    )


def nested_configs(annotation: Any) -> Iterator[ConfigClass]:
    """Yield the config classes anywhere inside ``annotation``, also those in lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from nested_configs(argument)


def tag(config: ConfigClass) -> tuple[str, tuple[str, ...]] | None:
    """Return the field that names the kind of ``config`` and the values it may have there, or None."""
    for name in TAG_FIELDS:
        field = config.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is Literal:
            return name, get_args(field.annotation)
    return None


def kinds(classes: Sequence[ConfigClass]) -> Mapping[str, ConfigClass]:
    """Map each kind's name to its class: ``{"sgd": Sgd, "adam": Adam, ...}``."""
    return {value: config for config in classes if (tagged := tag(config)) is not None for value in tagged[1]}


def describe(types: Sequence[Any]) -> str:
    """Say in plain words what values fit one of ``types``: ``'balanced', a list of numbers or null``."""
    members = [member for annotation in types for member in alternatives(annotation)]
    words = list(dict.fromkeys(word for member in members for word in _words(member)))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _words(member: Any) -> Iterator[str]:
    origin, arguments = get_origin(member), get_args(member)
    if origin is Literal:
        yield from (repr(value) for value in arguments)
    elif origin in {tuple, list}:
        yield f"a list of {_PLURALS.get(alternatives(arguments[0])[0], 'values')}"
    elif origin is dict or configs(member):
        yield "a mapping"
    else:
        yield _SINGULARS.get(member, "any value")


_SINGULARS = {NoneType: "null", str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_PLURALS = {str: "texts", int: "whole numbers", float: "numbers"}
