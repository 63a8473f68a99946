"""A search that makes no sense is refused with the field and the fix."""

from typing import Any

import pytest

from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.schedulers import rungs
from modelyard.domain.search import Objective
from modelyard.domain.validation import validate

RATE = {"optimizer.learning_rate": {"log": [1e-4, 1e-1]}}
RANDOM = {"method": "random", "samples": 9, "space": RATE}
RANGES = {**RATE, "model.dropout": {"float": [0, 0.5]}}


def sweep(search: dict[str, Any], **training: Any) -> SweepSpec:
    return validate(SweepSpec, {"run": {"training": {"epochs": 9, **training}}, "search": search})


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"scheduler": "asha"}, "'scheduler' has no effect with method 'single'"),
        ({"budget": {"seconds": 3}}, "'budget' has no effect with method 'single'"),
        ({**RANDOM, "metric": "val_accuracy"}, "'metric' has no effect"),
        ({**RANDOM, "mode": "max"}, "'mode' has no effect"),
        ({**RANDOM, "concurrency": 4}, "'concurrency' has no effect"),
        ({**RANDOM, "scheduler": "asha", "metric": "val_acuracy"}, "did you mean 'val_accuracy'?"),
        ({**RANDOM, "scheduler": "asha", "metric": "train_loss"}, "search.metric: 'train_loss' is not a validation"),
        ({**RANDOM, "scheduler": "ashaa"}, "did you mean 'asha'?"),
        ({**RANDOM, "scheduler": {"name": "asha", "min_epochs": 9}}, "search.scheduler.min_epochs: 9 leaves nothing"),
        ({**RANDOM, "scheduler": {"name": "pasha", "min_epochs": 9}}, "search.scheduler.min_epochs: 9 leaves nothing"),
        ({**RANDOM, "scheduler": {"name": "hyperband", "min_epochs": 9}}, "search.scheduler.min_epochs: 9 leaves"),
        ({**RANDOM, "scheduler": {"name": "median", "grace": 9}}, "search.scheduler.grace: 9 leaves nothing"),
        ({**RANDOM, "scheduler": {"name": "pbt", "interval": 9}}, "search.scheduler.interval: 9 leaves nothing"),
        ({**RANDOM, "scheduler": {"name": "racing", "interval": 9}}, "search.scheduler.interval: 9 leaves nothing"),
        (
            {"method": "random", "samples": 9, "space": {"training.epochs": {"int": [1, 9]}}, "scheduler": "asha"},
            "training.epochs cannot be searched",
        ),
        ({"method": "list", "runs": [{"training.epochs": 4}], "scheduler": "asha"}, "training.epochs cannot be"),
        ({**RANDOM, "budget": {}}, "give exactly one of seconds, epochs, device_seconds"),
        ({**RANDOM, "budget": {"seconds": 3, "epochs": 4}}, "got seconds, epochs"),
        ({"method": "tpe", "space": RATE}, "method 'tpe' needs 'samples'"),
        ({"method": "tpe", "samples": 9}, "method 'tpe' needs 'space'"),
        ({"method": "cma-es", "samples": 9, "space": RATE}, "'cma-es' needs at least two ranges"),
        ({"method": "cma-es", "samples": 9, "space": RANGES, "scheduler": "asha"}, "'cma-es' compares finished runs"),
        ({"method": "nsga2", "samples": 9, "space": RATE}, "method 'nsga2' needs 'objectives'"),
        ({"method": "nsga2", "samples": 9, "space": RATE, "objectives": [{"metric": "val_loss"}]}, "one alone is a"),
        (
            {"method": "nsga2", "samples": 9, "space": RATE, "objectives": [{"metric": "val_loss"}, {"metric": "f1"}]},
            "search.objectives.1.metric: 'f1' is not a validation metric",
        ),
        ({**RANDOM, "objectives": [{"metric": "val_loss"}]}, "'objectives' has no effect with method 'random'"),
        ({**RANDOM, "method": "tpe", "scheduler": "pbt"}, "'pbt' finds new values by itself"),
        ({"method": "list", "runs": [{"seed": 1}], "scheduler": "pbt"}, "'pbt' needs a space"),
        (
            {"method": "random", "samples": 9, "space": {"training.batch_size": {"int": [8, 9]}}, "scheduler": "pbt"},
            "search.space.training.batch_size: 'pbt' changes values in the middle of a run",
        ),
        (
            {"method": "grid", "space": {"optimizer.name": {"choice": ["sgd", "adam"]}}, "scheduler": "pbt"},
            "search.space.optimizer.name: 'pbt' changes values",
        ),
    ],
    ids=str,
)
def test_a_search_that_cannot_work_is_refused(search: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sweep(search)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "search",
    [
        {**RANDOM, "scheduler": "asha", "metric": "val_accuracy", "concurrency": 3},
        {**RANDOM, "scheduler": "pbt"},
        {"method": "tpe", "samples": 4, "space": RATE, "scheduler": "hyperband"},
        {"method": "cma-es", "samples": 4, "space": RANGES, "metric": "val_accuracy"},
        {"method": "grid", "space": {"seed": {"choice": [1, 2]}}, "budget": {"seconds": 3}, "mode": "max"},
    ],
    ids=str,
)
def test_a_search_that_decides_survives_its_own_json(search: dict[str, Any]) -> None:
    spec = sweep(search)
    assert spec.search.decides
    assert SweepSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_search_that_decides_nothing_is_as_it_was() -> None:
    assert not sweep(RANDOM).search.decides
    assert sweep({**RANDOM, "scheduler": "none"}) == sweep(RANDOM)


def test_the_loss_is_the_default_goal() -> None:
    assert sweep({**RANDOM, "scheduler": "asha"}).search.goals == (Objective(metric="val_loss"),)


@pytest.mark.parametrize(
    ("first", "reduction", "most", "expected"), [(1, 3, 27, (1, 3, 9)), (2, 2, 9, (2, 4, 8)), (1, 4, 2, (1,))]
)
def test_rungs(first: int, reduction: int, most: int, expected: tuple[int, ...]) -> None:
    assert rungs(first, reduction, most) == expected


def own_code(task: str, search: dict[str, Any]) -> SweepSpec:
    file = {"file": "task.py"}
    part = {"custom": {"custom": {**file, "class_name": "T"}}, "hf-trainer": {"trainer": {**file, "function": "t"}}}[
        task
    ]
    space = {f"{next(iter(part))}.params.width": {"choice": [1, 2, 3]}}
    return validate(SweepSpec, {"run": {"task": task, **part}, "search": {"method": "grid", "space": space, **search}})


@pytest.mark.parametrize(
    ("task", "search", "message"),
    [
        ("custom", {"scheduler": "asha", "metric": "f1"}, "search.metric: 'f1' is not a validation metric"),
        ("custom", {"scheduler": "asha", "metric": "val_f1"}, "search.mode: say whether min or max"),
        ("custom", {"scheduler": {"name": "asha", "min_epochs": 5}}, "min_epochs: 5 leaves nothing to decide"),
        ("hf-trainer", {"scheduler": "asha"}, "a trainer fixes its number of epochs"),
        ("hf-trainer", {"scheduler": "racing"}, "a trainer fixes its number of epochs"),
        ("hf-trainer", {"budget": {"epochs": 3}}, "search.budget.epochs: how many a trainer needs is not known"),
    ],
)
def test_a_search_of_own_code_that_cannot_work_is_refused(task: str, search: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own_code(task, search)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("task", "search"),
    [
        ("custom", {"scheduler": "asha", "metric": "val_f1", "mode": "max"}),
        ("custom", {"scheduler": "median"}),
        ("hf-trainer", {"budget": {"seconds": 3}, "metric": "val_f1", "mode": "max"}),
    ],
)
def test_own_code_can_be_searched(task: str, search: dict[str, Any]) -> None:
    assert own_code(task, search).search.decides
