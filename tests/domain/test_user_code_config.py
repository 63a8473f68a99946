"""Configs of tasks that are code of the user's own: what belongs to them, and what has no effect."""

from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.structure import structure_key
from modelyard.domain.validation import validate

OWN: dict[str, Any] = {"task": "custom", "custom": {"file": "a.py", "class_name": "A", "params": {"width": 3}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "cnn"}, "^model: no effect with the task 'custom', whose code decides it; remove it$"),
        ({"data": {"source": "digits", "split_seed": 1}}, "^data: no effect"),
        ({"augment": "light"}, "^augment: no effect"),
        ({"loss": "focal"}, "^loss: no effect"),
        ({"metrics": ["accuracy"]}, "^metrics: no effect"),
        ({"custom": None}, "^custom: this is missing; the task 'custom' needs it$"),
        ({"task": "image-classification"}, "^custom: no effect with the task 'image-classification'; remove it, or"),
        ({"custom": {"file": "a.py", "class": "A"}}, "custom.class: unknown key; did you mean 'class_name'"),
        ({"custom": {"file": "a.py", "class_name": "A B"}}, "custom.class_name: "),
        ({"custom": {"file": "a.py", "class_name": "A", "code": "x"}}, "custom.code: "),
        (
            {"custom": {"file": "a.py", "class_name": "A", "params": {"x": float("nan")}}},
            "custom.params: params must",
        ),
        ({"training": {"checkpoint": {"metric": "val_mae"}}}, "^training.checkpoint.mode: say whether min or max of"),
        ({"training": {"checkpoint": {"metric": "mae"}}}, "it must start with 'val_'"),
        ({"training": {"early_stopping": {"metric": "val_mae"}}}, "^training.early_stopping.mode: say whether"),
    ],
)
def test_what_does_not_belong_together_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(RunSpec, {**OWN, **change})


def test_a_spec_leaves_out_what_has_no_effect_and_survives_its_json() -> None:
    spec = RunSpec.model_validate(OWN)
    dumped = spec.model_dump(mode="json")
    assert dumped.keys().isdisjoint({"data", "model", "loss", "augment", "metrics"})
    assert "custom" not in RunSpec().model_dump(mode="json")
    again = RunSpec.model_validate(dumped)
    assert (again, again.hash) == (spec, spec.hash)


def test_code_and_params_are_part_of_what_a_run_is_and_of_its_structure() -> None:
    specs = [
        RunSpec.model_validate({**OWN, "custom": {**OWN["custom"], **change}})
        for change in ({}, {"params": {"width": 4}}, {"code": f"sha256:{'0' * 64}"}, {"class_name": "B"})
    ]
    assert len({spec.hash for spec in specs}) == len({structure_key(spec) for spec in specs}) == 4
