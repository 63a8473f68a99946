"""What a person reads when a config is wrong: one line per mistake, with place, field, fix."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from modelyard.domain.base import Config
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.validation import nearest, validate


def problems(data: Any, **where: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(SweepSpec, data, **where)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # unknown names
        ({"nmae": "x"}, "nmae: unknown key; did you mean 'name'?"),
        ({"run": {"optimiser": "sgd"}}, "run.optimiser: unknown key; did you mean 'optimizer'?"),
        (
            {"run": {"optimizer": {"name": "sgd", "momentun": 0}}},
            "run.optimizer.momentun: unknown key; did you mean 'momentum'?",
        ),
        (
            {"run": {"metrics": ["auroc", {"name": "precision_micro", "k": 3}]}},
            "run.metrics.1.k: unknown key; known: name",
        ),
        ({"run": {"model": "mlpp"}}, "run.model: unknown name 'mlpp'; did you mean 'mlp'?"),
        ({"run": {"data": {"source": "digit"}}}, "run.data: unknown source 'digit'; did you mean 'digits'?"),
        (
            {"run": {"model": {"dropout": 0.1}}},
            "run.model: the key 'name' is missing; it is one of mlp, cnn, resnet, vit, huggingface",
        ),
        # wrong types
        ([], "expected a mapping (got [])"),
        ({"run": {"model": 5}}, "run.model: expected a mapping (got 5)"),
        ({"run": {"training": {"epochs": 1.5}}}, "run.training.epochs: expected a whole number (got 1.5)"),
        ({"run": {"training": {"ema": 5}}}, "run.training.ema: expected a mapping or null (got 5)"),
        (
            {"run": {"training": {"precision": "fp8"}}},
            "run.training.precision: expected 'fp32', 'bf16' or 'fp16' (got 'fp8')",
        ),
        # out of range
        ({"run": {"training": {"epochs": 0}}}, "run.training.epochs: must be greater than or equal to 1 (got 0)"),
        ({"run": {"metrics": []}}, "run.metrics: has fewer than 1 items"),
        (
            {"run": {"loss": {"name": "focal", "gamma": float("nan")}}},
            "run.loss.gamma: must be a finite number (got nan)",
        ),
        ({"run": {"model": "huggingface"}}, "run.model.model: this is missing, and it has no default"),
        # one of several types
        (
            {"run": {"loss": {"name": "focal", "class_weights": "abc"}}},
            "run.loss.class_weights: expected 'balanced', a list of numbers or null (got 'abc')",
        ),
        (
            {"run": {"loss": {"name": "focal", "class_weights": [1, "x"]}}},
            "run.loss.class_weights.1: expected a number (got 'x')",
        ),
        (
            {"run": {"loss": {"name": "focal", "class_weights": [1, -2]}}},
            "run.loss.class_weights.1: must be greater than or equal to 0 (got -2)",
        ),
        (
            {"run": {"data": {"source": "digits", "max_per_class": 0}}},
            "run.data.max_per_class: must be greater than or equal to 1 (got 0)",
        ),
        (
            {"run": {"data": {"source": "digits", "max_per_class": "few"}}},
            "run.data.max_per_class: expected a whole number, a list of whole numbers or null (got 'few')",
        ),
        (
            {"run": {"model": {"name": "huggingface", "model": "x", "config": {"int": [2]}}}},
            "run.model.config.int: expected a whole number, a number, true or false or text (got [2])",
        ),
        # rules between fields
        (
            {"run": {"optimizer": {"name": "sgd", "momentum": 0, "nesterov": True}}},
            "run.optimizer: nesterov needs a momentum above 0",
        ),
        (
            {"run": {"augment": ["blur", {"name": "blur", "kernel_size": 4}]}},
            "run.augment.1: kernel_size must be odd, not 4",
        ),
        (
            {"run": {"augment": "digit"}},
            "run.augment: 'digit' is not a preset; the presets are none, light, standard, strong, digits",
        ),
        # search
        (
            {"search": {"method": "grid", "space": {"seed": {"chioce": [1]}}}},
            "search.space.seed.chioce: unknown key; did you mean 'choice'?",
        ),
        (
            {"search": {"method": "grid", "space": {"seed": {"choice": [1], "wen": {}}}}},
            "search.space.seed.wen: unknown key; did you mean 'when'?",
        ),
        ({"search": {"method": "grid", "space": {"seed": [1]}}}, "search.space.seed: expected a mapping (got [1])"),
        ({"search": {"method": "grid", "space": {1: {"choice": [1]}}}}, "search.space.1: expected text (got 1)"),
        (
            {"search": {"method": "grid", "space": {"seed": {"int": [3, 3], "points": 2}}}},
            "search.space.seed: the range [3, 3] is empty: the first number must be below the second",
        ),
        (
            {"search": {"method": "grid", "space": {"seed": {"int": [1, 2]}}}},
            "search: seed: a grid over a range needs 'points'",
        ),
        (
            {"search": {"method": "random", "space": {"seed": {"int": [1, 2]}}}},
            "search: method 'random' needs 'samples'",
        ),
    ],
)
def test_one_mistake_gives_one_line_that_says_where_and_what(data: Any, expected: str) -> None:
    assert problems(data) == [expected]


def test_of_several_types_the_one_that_fits_but_for_its_range_is_told() -> None:
    class Sizes(Config):
        size: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"

    with pytest.raises(ConfigError, match=r"^size: must be greater than or equal to 1 \(got 0\)$"):
        validate(Sizes, {"size": 0})


def test_every_mistake_gets_a_line() -> None:
    assert problems({"run": {"seed": -1, "training": {"epochs": "x", "batchsize": 3}}}) == [
        "run.training.epochs: expected a whole number (got 'x')",
        "run.training.batchsize: unknown key; did you mean 'batch_size'?",
        "run.seed: must be greater than or equal to 0 (got -1)",
    ]


def test_the_line_of_the_deepest_key_that_is_in_the_file_is_named() -> None:
    lines = {("run",): 2, ("run", "optimizer"): 4, ("run", "optimizer", "momentun"): 5}
    wrong = {"run": {"optimizer": {"name": "sgd", "momentun": 0}, "model": "mlpp"}}
    assert problems(wrong, source="s.yaml", lines=lines) == [
        "s.yaml:2: run.model: unknown name 'mlpp'; did you mean 'mlp'?",
        "s.yaml:5: run.optimizer.momentun: unknown key; did you mean 'momentum'?",
    ]
    assert problems({"x": 1}, source="s.yaml")[0].startswith("s.yaml: x: ")


def test_valid_input_is_returned_as_the_model() -> None:
    assert validate(RunSpec, {"seed": 3}) == RunSpec(seed=3)


def test_the_nearest_name_is_offered_or_all_of_them() -> None:
    assert nearest("learningrate", ["learning_rate", "momentum"]) == "; did you mean 'learning_rate'?"
    assert nearest("zzz", ["a", "b"]) == "; known: a, b"
    assert nearest("zzz", []) == ""
