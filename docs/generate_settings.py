"""Writes docs/guide/settings.md from the config classes. ``make docs`` calls it, and a test checks that it did."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import annotated_types as limits
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.introspection import ConfigClass, describe, nested_configs, tag
from modelyard.domain.parts.augmentations import PRESETS

PAGE = Path(__file__).parent / "guide" / "settings.md"

_HEAD = """# Settings

Every field that a sweep file can hold. This page is generated from the code (`make docs`), so it says what is true.

A sweep file is YAML or JSON. An unknown key is an error. A part that has a `name` may be written as the bare name:
`optimizer: sgd` is `optimizer: {name: sgd}` with the defaults of `sgd`. In a search, fields are named with dots:
`optimizer.learning_rate`.
"""


def page() -> str:
    """Return the text of the whole page."""
    sections = [
        _HEAD,
        _section("The file", SweepSpec),
        *_below("search", SweepSpec, level=2),
        _section("run", RunSpec),
        *(part for name in RunSpec.model_fields for part in _below(name, RunSpec, level=3)),
    ]
    return "\n".join(sections)


def _below(name: str, config: ConfigClass, *, level: int) -> Iterator[str]:
    """Yield the sections of the configs that a field holds, and of what these hold."""
    for kind in nested_configs(config.model_fields[name].annotation):
        yield _section(_title(name, kind), kind, level=level)
        if name == "augment" and tag(kind) is not None:
            continue
        for inner in kind.model_fields:
            yield from _below(inner, kind, level=level + 1)
    if name == "augment":
        yield _presets()


def _title(name: str, kind: ConfigClass) -> str:
    tagged = tag(kind)
    return name if tagged is None else f"{name}: {' or '.join(tagged[1])}"


def _section(title: str, config: ConfigClass, *, level: int = 2) -> str:
    doc = " ".join((config.__doc__ or "").split())
    tagged = tag(config)
    rows = [_row(name, field) for name, field in config.model_fields.items() if tagged is None or name != tagged[0]]
    table = (
        ["| field | value | default | what it does |", "|---|---|---|---|", *rows] if rows else ["It has no settings."]
    )
    return "\n".join([f"{'#' * level} {title}", "", doc.replace("``", "`"), "", *table, ""])


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_short(field.get_default())}`"
    description = (field.description or "").replace("``", "`").replace("\n", " ")
    return f"| `{name}` | {_values(field)} | {default} | {description} |".replace("\\|", "|")


def _short(value: Any) -> str:
    """Write a default the way a sweep file would: a part that is all defaults as its bare name."""
    plain = to_jsonable_python(value)
    tagged = tag(type(value)) if hasattr(type(value), "model_fields") else None
    if tagged is not None and value == type(value).model_construct(**{tagged[0]: getattr(value, tagged[0])}):
        return str(getattr(value, tagged[0]))
    if hasattr(type(value), "model_fields"):
        return "{}"
    if isinstance(value, tuple) and any(hasattr(type(item), "model_fields") for item in value):
        return f"[{', '.join(_short(item) for item in value)}]"
    if isinstance(value, float) and value == 1 / 3:
        return "1/3"
    return plain if isinstance(plain, str) else canonical_json(plain).replace(",", ", ")


def _values(field: FieldInfo) -> str:
    kinds = [tagged[1] for config in nested_configs(field.annotation) if (tagged := tag(config)) is not None]
    if kinds:
        return ", ".join(f"`{name}`" for names in kinds for name in names)
    words = describe([field.annotation])
    bounds = ", ".join(dict.fromkeys([*_bounds(field.metadata), *_inner_bounds(field.annotation)]))
    return f"{words}; {bounds}" if bounds else words


def _inner_bounds(annotation: Any) -> Iterator[str]:
    """Yield the limits of annotated types inside unions and lists."""
    if get_origin(annotation) is Annotated:
        yield from _bounds(
            [limit for field in annotation.__metadata__ for limit in getattr(field, "metadata", [field])]
        )
    for argument in get_args(annotation):
        yield from _inner_bounds(argument)


def _bounds(metadata: Sequence[Any]) -> Iterator[str]:
    for limit in metadata:
        match limit:
            case limits.Ge(low):
                yield f"at least {low}"
            case limits.Gt(low):
                yield f"above {low}"
            case limits.Le(high):
                yield f"at most {high}"
            case limits.Lt(high):
                yield f"below {high}"
            case limits.MinLen(length):
                yield "not empty" if length == 1 else f"at least {length} long"
            case _:
                pass


def _presets() -> str:
    rows = [
        f"| `{name}` | {', '.join(_step(step) for step in steps) or 'nothing'} |" for name, steps in PRESETS.items()
    ]
    return "\n".join(["### augment: presets", "", "| preset | what it is |", "|---|---|", *rows, ""])


def _step(step: Any) -> str:
    changed = {
        name: getattr(step, name)
        for name, field in type(step).model_fields.items()
        if name != "name" and getattr(step, name) != field.default
    }
    return step.name + (f" ({', '.join(f'{name} {value}' for name, value in changed.items())})" if changed else "")


if __name__ == "__main__":
    PAGE.write_text(page())
