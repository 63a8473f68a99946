"""The schema of a sweep, made from the very classes that check one; and a sweep as its author would write it."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from modelyard.api.yamlprint import document
from modelyard.domain.config import SweepSpec, Task, unused_fields
from modelyard.domain.introspection import tag
from modelyard.domain.parts.augmentations import PRESETS
from modelyard.domain.search import NEEDS
from modelyard.server.views import View


class SchemaView(View):
    """What a sweep can hold."""

    sweep: Mapping[str, Any]
    """JSON schema: kinds of a part are tagged unions, every field has its default, its range and its meaning."""
    method_fields: Mapping[str, Sequence[str]]
    """The fields of ``search`` that each method needs; those of other methods must not be given."""
    unused_fields: Mapping[str, Sequence[str]]
    """For each task, the fields of ``run`` that its own code decides."""
    augmentation_presets: Mapping[str, Sequence[Mapping[str, Any]]]
    """Named lists that ``run.augment`` may be."""


@cache
def sweep_schema() -> SchemaView:
    """Return the schema; it is the same as long as a server runs."""
    return SchemaView(
        sweep=SweepSpec.model_json_schema(),
        method_fields=NEEDS,
        unused_fields={task: unused_fields(task) for task in get_args(Task)},
        augmentation_presets={name: [one.model_dump(mode="json") for one in parts] for name, parts in PRESETS.items()},
    )


def sweep_text(sweep: SweepSpec) -> str:
    """Write a sweep as a file without what is the default anyway."""
    return document(_brief(sweep) | {"name": sweep.name})


def _brief(config: BaseModel) -> dict[str, Any]:
    """Return the fields of a config that are not as they would be by themselves, and the kind of each part."""
    tagged = tag(type(config))
    dumped = config.model_dump(mode="json")
    found: dict[str, Any] = {} if tagged is None else {tagged[0]: getattr(config, tagged[0])}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name in found or name not in dumped or value == field.get_default(call_default_factory=True):
            continue
        found[name] = _brief_value(value, dumped[name])
    return found


def _brief_value(value: Any, dumped: Any) -> Any:
    if isinstance(value, BaseModel):
        return _brief(value)
    if isinstance(value, tuple) and value and all(isinstance(item, BaseModel) for item in value):
        return [_brief(item) for item in value]
    if isinstance(value, dict) and value and all(isinstance(item, BaseModel) for item in value.values()):
        return {key: _brief(item) for key, item in value.items()}
    return dumped
