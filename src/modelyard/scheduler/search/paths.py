"""Dotted field names (``optimizer.learning_rate``): which exist, and what they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_origin

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.introspection import ConfigClass, alternatives, configs, tag
from modelyard.domain.validation import nearest


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a dotted path leads, over all kinds that the parts on its way may be."""

    owners: tuple[ConfigClass, ...]
    """The config classes that have the path's last field; empty inside a free mapping."""
    annotations: tuple[Any, ...]
    """The types that the field has in them."""

    @property
    def parts(self) -> tuple[ConfigClass, ...]:
        """The kinds of part that the field holds; empty if it holds a value."""
        return tuple(config for annotation in self.annotations for config in configs(annotation))

    @property
    def takes_only_whole_numbers(self) -> bool:
        """Whether the field is a number without fractions."""
        members = {member for annotation in self.annotations for member in alternatives(annotation)}
        return int in members and float not in members


def locate(path: str) -> Place:
    """Find a field of ``RunSpec``. Raises ``ConfigError`` with the nearest name if no kind of part has it."""
    place = Place(owners=(), annotations=(RunSpec,))
    names = path.split(".")
    for position, name in enumerate(names):
        if is_mapping(place.annotations):
            return Place(owners=(), annotations=(Any,))
        if not place.parts:
            raise ConfigError(f"{path}: {_no_fields('.'.join(names[:position]), place.annotations)}")
        owners = tuple(config for config in place.parts if name in config.model_fields)
        if not owners:
            known = sorted({field for config in place.parts for field in config.model_fields})
            raise ConfigError(f"{path}: there is no field {name!r}{nearest(name, known)}")
        place = Place(owners=owners, annotations=tuple(config.model_fields[name].annotation for config in owners))
    return place


def tag_field(parts: Sequence[ConfigClass]) -> str | None:
    """Return the field that says which of ``parts`` a config is, or None if there is nothing to choose."""
    tags = [tagged[0] for config in parts if (tagged := tag(config)) is not None]
    return tags[0] if tags else None


def part_of_tag(path: str) -> str | None:
    """Return ``optimizer`` for ``optimizer.name``: the part whose kind the field decides; None for other fields."""
    part, _, name = path.rpartition(".")
    return part if part and name == tag_field(locate(path).owners) else None


def is_mapping(annotations: Sequence[Any]) -> bool:
    """Whether a field of these types takes a mapping with keys of the user's own."""
    return any(get_origin(member) is dict for annotation in annotations for member in alternatives(annotation))


def _no_fields(parent: str, annotations: Sequence[Any]) -> str:
    if any(get_origin(member) is tuple for annotation in annotations for member in alternatives(annotation)):
        return f"{parent} is a list, so give the whole list"
    return f"{parent} is a single value, so it has no fields"
