"""Edits of a run's config."""

from typing import Any

import pytest

from modelyard.api.edits import Change, apply_edits, apply_sweep_edits, difference, parse_edits
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError, UserError


def edited(*texts: str, base: dict[str, Any] | None = None) -> RunSpec:
    return apply_edits(RunSpec.model_validate(base or {}), parse_edits(texts))[0]


def test_values_are_typed_as_in_a_file() -> None:
    assert parse_edits(["a=1e-3", "b=true", "c=[64, 64]", "d=adamw", "e=null", "f=no", "g='1'", "h="]) == {
        "a": 1e-3, "b": True, "c": [64, 64], "d": "adamw", "e": None, "f": "no", "g": "1", "h": None
    }  # fmt: skip


def test_fields_change_and_the_rest_stays() -> None:
    spec, changes = apply_edits(
        RunSpec(), parse_edits(["optimizer.learning_rate=0.01", "training.epochs=20", "seed=0"])
    )
    assert (spec.optimizer.learning_rate, spec.training.epochs) == (0.01, 20)
    assert changes == (Change("optimizer.learning_rate", 0.001, 0.01), Change("training.epochs", 5, 20))
    assert spec.model_copy(update={"optimizer": RunSpec().optimizer, "training": RunSpec().training}) == RunSpec()


def test_switching_a_kind_keeps_what_was_chosen_and_resets_the_rest() -> None:
    base = {"optimizer": {"name": "adamw", "weight_decay": 0.3, "betas": [0.8, 0.9]}}
    spec = edited("optimizer.name=sgd", base=base)
    assert spec.optimizer.model_dump() == {
        "name": "sgd", "learning_rate": 0.1, "weight_decay": 0.3, "momentum": 0.9, "nesterov": False,
        "decay_norm_and_bias": False,
    }  # fmt: skip


def test_a_switch_comes_first_whatever_the_order() -> None:
    spec = edited("model.patch_size=2", "model.name=vit", "optimizer.momentum=0.5", "optimizer=sgd")
    assert spec.model.model_dump()["patch_size"] == 2
    assert spec.optimizer.model_dump()["momentum"] == 0.5


def test_an_optional_section_is_switched_on_and_off() -> None:
    assert edited("training.ema.decay=0.9").training.ema is not None
    assert edited("training.ema=null", base={"training": {"ema": {"decay": 0.9}}}).training.ema is None


def test_lists_are_set_whole() -> None:
    assert edited("augment=light").augment == RunSpec.model_validate({"augment": "light"}).augment
    assert edited("model.hidden_sizes=[7]").model.model_dump()["hidden_sizes"] == (7,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "optimizer.learning_rat=1",
            "--set optimizer.learning_rat: there is no field 'learning_rat'; did you mean 'learning_rate'?",
        ),
        ("optimiser.name=sgd", "there is no field 'optimiser'; did you mean 'optimizer'?"),
        ("optimizer.name=sdg", "--set optimizer: unknown name 'sdg'; did you mean 'sgd'?"),
        ("optimizer.momentum=0.5", "--set optimizer.momentum: "),
        ("optimizer.learning_rate=-1", "--set optimizer.learning_rate: "),
        ("optimizer.learning_rate.x=1", "optimizer.learning_rate is a single value, so it has no fields"),
        ("training.epochs=many", "--set training.epochs: expected a whole number"),
        ("metrics.9.name=f1_macro", "metrics is a list, so give the whole list"),
        ("seed=[1", "--set seed:1: not valid YAML"),
    ],
)
def test_bad_edits_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        edited(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("texts", [["epochs"], ["=3"], ["seed=1", "seed=2"]])
def test_what_is_not_an_edit(texts: list[str]) -> None:
    with pytest.raises(UserError):
        parse_edits(texts)


def test_the_difference_names_fields_that_only_one_side_has() -> None:
    after = edited("optimizer=sgd")
    changes = {change.path: (change.before, change.after) for change in difference(RunSpec(), after)}
    assert changes["optimizer.name"] == ("adamw", "sgd")
    assert changes["optimizer.momentum"] == (None, 0.9)
    assert changes["optimizer.eps"] == (1e-8, None)
    assert difference(after, after) == ()


def test_an_edit_of_a_searched_field_is_refused() -> None:
    sweep = SweepSpec.model_validate(
        {"search": {"method": "grid", "space": {"optimizer.learning_rate": {"choice": [0.1, 0.2]}}}}
    )
    for path in ("optimizer.learning_rate", "optimizer"):
        with pytest.raises(ConfigError, match="the search decides"):
            apply_sweep_edits(sweep, {path: 1})
    assert apply_sweep_edits(sweep, {"training.epochs": 3}).run.training.epochs == 3
