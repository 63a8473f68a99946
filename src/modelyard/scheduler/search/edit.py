"""Changes single fields of a run by their dotted names: what a search does to its base, and a clone to its parent."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.introspection import ConfigClass, configs, kinds
from modelyard.domain.search import Json
from modelyard.domain.validation import nearest, validate
from modelyard.scheduler.search.paths import locate, part_of_tag, tag_field

Data = Mapping[str, Any]
"""A run, or a part of one, as JSON: what ``model_dump(mode="json")`` returns. Fields left out have their defaults."""


def edit_run(run: RunSpec, changes: Mapping[str, Json], *, source: str = "") -> RunSpec:
    """Return ``run`` with fields changed, such as ``{"optimizer.learning_rate": 0.01}``.

    A new kind of part (``optimizer.name``) keeps the fields that it shares with the old kind and that are not at the
    old kind's default; all others start from the new kind's defaults. Raises ``ConfigError`` for an unknown field,
    with the nearest name, and for values that do not fit.
    """
    return validate(RunSpec, assign_all(run.model_dump(mode="json"), changes), source=source)


def assign_all(data: Data, changes: Mapping[str, Json]) -> Data:
    """Return a copy of ``data`` with all ``changes`` made: whole parts first, then their kinds, then their fields."""
    for path in changes:
        locate(path)
    for path in sorted(changes, key=lambda path: (path.count("."), part_of_tag(path) is None)):
        data = assign(data, path, changes[path])
    return data


def assign(data: Data, path: str, value: Json) -> Data:
    """Return a copy of ``data`` with one field changed. Raises ``ConfigError`` if the parts in ``data`` lack it."""
    return _assign(RunSpec, data, path.split("."), value, path)


def read(data: Data, path: str) -> Json:
    """Return the value of a field, defaults filled in; None if the parts in ``data`` do not have it."""
    config: ConfigClass | None = RunSpec
    value: Any = data
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        if config is None:
            value = value.get(name)
        elif name not in config.model_fields:
            return None
        else:
            parts = configs(config.model_fields[name].annotation)
            value = _child(config, value, name)
            config = _kind(parts, value) if isinstance(value, Mapping) else None
    return value


def _assign(config: ConfigClass, part: Data, names: Sequence[str], value: Json, path: str) -> Data:
    name, rest = names[0], names[1:]
    if name not in config.model_fields:
        raise ConfigError(f"{path}: {_lacks(config, name, path)}")
    child = _child(config, part, name)
    if not rest:
        return {**part, name: _of_the_same_kind(config, name, child, value)}
    below = _assign_below(
        configs(config.model_fields[name].annotation), child if isinstance(child, Mapping) else {}, rest, value, path
    )
    return {**part, name: below}


def _of_the_same_kind(config: ConfigClass, name: str, before: Any, value: Json) -> Json:
    """Return a new part; one that does not say its kind, as ``{learning_rate: 0.1}``, is of the kind that was there."""
    tag = tag_field(configs(config.model_fields[name].annotation))
    if tag is None or not isinstance(value, dict) or tag in value or not isinstance(before, Mapping):
        return value
    return {tag: before[tag], **value} if tag in before else value


def _assign_below(
    parts: Sequence[ConfigClass], child: Data, names: Sequence[str], value: Json, path: str
) -> Mapping[str, Any]:
    if not parts:  # a free mapping
        return {**child, ".".join(names): value}
    if list(names) == [tag_field(parts)]:
        return _switch(parts, child, names[0], value)
    kind = _kind(parts, child)
    if kind is None:  # the kind is unknown, which validation reports
        return {**child, names[0]: value}
    return _assign(kind, child, names, value, path)


def _switch(parts: Sequence[ConfigClass], child: Data, tag: str, value: Json) -> Data:
    old, new = _kind(parts, child), kinds(parts).get(value) if isinstance(value, str) else None
    if old is None or new is None or old is new:
        return {**child, tag: value}
    kept = {
        name: kept
        for name, kept in child.items()
        if name != tag and name in new.model_fields and kept != _default(old, name)
    }
    return {tag: value, **kept}


def _kind(parts: Sequence[ConfigClass], child: Data) -> ConfigClass | None:
    tag = tag_field(parts)
    if tag is None:
        return parts[0] if parts else None
    return kinds(parts).get(child.get(tag, ""))


def _child(config: ConfigClass, part: Data, name: str) -> Any:
    """Return a field's value or default; the short form of a part (``sgd``) is spelled out (``{name: sgd}``)."""
    value = part[name] if name in part else _default(config, name)
    tag = tag_field(configs(config.model_fields[name].annotation))
    return {tag: value} if tag is not None and isinstance(value, str) else value


def _default(config: ConfigClass, name: str) -> Any:
    field = config.model_fields[name]
    return None if field.is_required() else to_jsonable_python(field.get_default(call_default_factory=False))


def _lacks(config: ConfigClass, name: str, path: str) -> str:
    """Say that this kind of part has no such field, and which kinds have."""
    part, _, _ = path.rpartition(".")
    owners = locate(path).owners
    tag = tag_field(owners)
    if tag is None:
        return f"there is no field {name!r}{nearest(name, sorted(config.model_fields))}"
    having = ", ".join(sorted(kinds(owners)))
    this = next(iter(kinds([config])), "this kind")
    condition = having if "," not in having else f"[{having}]"
    return f"{this} has no field {name!r}; for {having} alone, write `when: {{{part}.{tag}: {condition}}}`"
