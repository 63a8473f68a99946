"""Every setting explains itself: its docstring is the help that the page, the docs and the command line show."""

import importlib
import pkgutil
import re

import pytest
from pydantic import BaseModel

import modelyard.domain.parts
from modelyard.domain.base import Config
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.introspection import ConfigClass, nested_configs, tag


def reachable(*roots: ConfigClass) -> list[ConfigClass]:
    found = list(roots)
    for config in found:
        for field in config.model_fields.values():
            found += [below for below in nested_configs(field.annotation) if below not in found]
    return found


CONFIGS = reachable(SweepSpec)


def fields_without_tags() -> list[tuple[type[BaseModel], str]]:
    return [
        (config, name)
        for config in CONFIGS
        for name in config.model_fields
        if (tagged := tag(config)) is None or name != tagged[0]
    ]


@pytest.mark.parametrize(("config", "name"), fields_without_tags(), ids=lambda value: getattr(value, "__name__", value))
def test_a_setting_has_a_description_that_is_a_sentence(config: type[BaseModel], name: str) -> None:
    assert re.fullmatch(r"[A-Z0-9`].*\.", config.model_fields[name].description or "", re.DOTALL)


def test_every_part_is_reachable_from_a_sweep() -> None:
    parts = {
        value
        for module in pkgutil.iter_modules(modelyard.domain.parts.__path__)
        for value in vars(importlib.import_module(f"modelyard.domain.parts.{module.name}")).values()
        if isinstance(value, type) and issubclass(value, Config) and not value.__name__.startswith("_")
    } - {Config}
    assert parts <= set(CONFIGS)
    assert RunSpec in CONFIGS


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_a_config_has_a_docstring_and_refuses_unknown_keys_and_changes(config: type[BaseModel]) -> None:
    assert (config.__doc__ or "").strip()
    assert config.model_config["extra"] == "forbid"
    assert config.model_config["frozen"]
