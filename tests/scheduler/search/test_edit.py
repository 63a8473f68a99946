"""Edits by dotted names: what a clone's changes and a search's values go through."""

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.optimizers import Lion, Sgd
from modelyard.scheduler.search.edit import edit_run, read


def test_an_edit_changes_one_field_and_leaves_the_original_alone() -> None:
    run = RunSpec()
    edited = edit_run(run, {"training.checkpoint.keep": 5})
    assert edited.training.checkpoint.keep == 5
    assert run == RunSpec()
    assert edit_run(edited, {"training.checkpoint.keep": 2}) == run


def test_a_new_kind_of_part_starts_from_its_own_defaults() -> None:
    assert edit_run(RunSpec(), {"optimizer.name": "lion"}).optimizer == Lion()
    assert edit_run(RunSpec(optimizer=Sgd(learning_rate=0.5)), {"optimizer.name": "lion"}).optimizer == Lion(
        learning_rate=0.5
    )


def test_naming_the_same_kind_changes_nothing() -> None:
    run = RunSpec(optimizer=Sgd(momentum=0.1))
    assert edit_run(run, {"optimizer.name": "sgd"}) == run


def test_an_edit_is_validated_like_a_file() -> None:
    with pytest.raises(ConfigError, match=r"^--set: optimizer\.learning_rate: must be greater than 0 \(got 0\)$"):
        edit_run(RunSpec(), {"optimizer.learning_rate": 0}, source="--set")
    with pytest.raises(ConfigError, match=r"unknown name 'adammw'; did you mean 'adamw'"):
        edit_run(RunSpec(), {"optimizer.name": "adammw", "optimizer.learning_rate": 1})


def test_read_fills_in_defaults_and_says_none_for_fields_of_other_kinds() -> None:
    assert read({"optimizer": "sgd"}, "optimizer.momentum") == 0.9
    assert read({"optimizer": "sgd"}, "optimizer.betas") is None
    assert read({}, "training.ema.decay") is None
    assert read({"model": {"name": "huggingface", "config": {"depth": 3}}}, "model.config.depth") == 3
