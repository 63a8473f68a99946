"""A sweep becomes the runs that it describes, in its order, each valid and none twice."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.optimizers import AdamW, Sgd
from modelyard.domain.validation import validate
from modelyard.scheduler.search.expand import expand


def runs_of(run: dict[str, Any] | None = None, **search: Any) -> tuple[RunSpec, ...]:
    return expand(validate(SweepSpec, {"run": run or {}, "search": search}))


def problem_of(**search: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        runs_of(**search)
    return str(caught.value)


def test_single_is_the_base_run_alone() -> None:
    assert runs_of({"seed": 7}) == (RunSpec(seed=7),)


def test_a_grid_is_the_product_in_the_order_of_the_space_with_the_last_dimension_fastest() -> None:
    runs = runs_of(
        method="grid",
        space={
            "seed": {"choice": [3, 1]},
            "optimizer.learning_rate": {"log": [1e-4, 1e-2], "points": 3},
            "training.batch_size": {"int": [16, 32], "points": 2},
        },
    )
    got = [(run.seed, run.optimizer.learning_rate, run.training.batch_size) for run in runs]
    assert got == list(itertools.product([3, 1], [1e-4, 1e-3, 1e-2], [16, 32]))


def test_fields_outside_the_space_stay_as_the_base_has_them() -> None:
    base = {"optimizer": {"name": "sgd", "momentum": 0.5}, "training": {"epochs": 9}}
    (first, second) = runs_of(base, method="grid", space={"optimizer.learning_rate": {"choice": [0.1, 0.2]}})
    assert first.optimizer == Sgd(learning_rate=0.1, momentum=0.5)
    assert second.training.epochs == 9


def test_a_list_takes_each_run_as_it_is_written() -> None:
    runs = runs_of(method="list", runs=[{"model": "cnn"}, {"model.name": "vit", "model.layers": 3}, {"seed": 2}])
    assert [run.model.name for run in runs] == ["cnn", "vit", "mlp"]
    assert runs[1].model.layers == 3  # type: ignore[union-attr]


def test_order_inside_a_listed_run_does_not_matter() -> None:
    changes = {"optimizer.momentum": 0.3, "optimizer.name": "sgd", "optimizer": {"name": "adam", "learning_rate": 0.5}}
    expected = Sgd(momentum=0.3, learning_rate=0.5)
    for order in itertools.permutations(changes):
        (run,) = runs_of(method="list", runs=[{path: changes[path] for path in order}])
        assert run.optimizer == expected


def test_a_choice_may_hold_whole_parts_by_short_name_or_in_full() -> None:
    space = {"optimizer": {"choice": ["adamw", {"name": "sgd", "momentum": 0.3}]}}
    assert [run.optimizer for run in runs_of(method="grid", space=space)] == [AdamW(), Sgd(momentum=0.3)]


def test_a_dimension_of_a_part_is_applied_after_the_part_wherever_it_stands() -> None:
    space = {"optimizer.learning_rate": {"choice": [0.1, 0.2]}, "optimizer": {"choice": ["adamw", "sgd"]}}
    got = [(run.optimizer.learning_rate, run.optimizer.name) for run in runs_of(method="grid", space=space)]
    assert got == [(0.1, "adamw"), (0.1, "sgd"), (0.2, "adamw"), (0.2, "sgd")]


def test_a_condition_lets_a_dimension_vary_only_where_it_holds() -> None:
    space = {
        "optimizer.momentum": {"choice": [0.1, 0.2], "when": {"optimizer.name": "sgd"}},
        "optimizer.name": {"choice": ["adamw", "sgd"]},
    }
    got = [run.optimizer for run in runs_of(method="grid", space=space)]
    assert got == [AdamW(), Sgd(momentum=0.1), Sgd(momentum=0.2)]


def test_a_condition_may_list_values_name_a_whole_part_and_follow_another_condition() -> None:
    space = {
        "model": {"choice": ["mlp", "cnn", {"name": "vit", "layers": 3}]},
        "model.dropout": {"choice": [0.0, 0.5], "when": {"model": ["cnn", "vit"]}},
        "seed": {"choice": [8, 9], "when": {"model.dropout": 0.5, "model.layers": 3}},
    }
    got = [
        (run.model.name, run.model.dropout, run.seed)  # type: ignore[union-attr]
        for run in runs_of(method="grid", space=space)
    ]
    assert got == [("mlp", 0, 0), ("cnn", 0, 0), ("cnn", 0.5, 0), ("vit", 0, 0), ("vit", 0.5, 8), ("vit", 0.5, 9)]


def test_a_condition_sees_defaults_that_nobody_wrote() -> None:
    space = {
        "optimizer": {"choice": ["sgd", {"name": "sgd", "momentum": 0.1}]},
        "seed": {"choice": [5], "when": {"optimizer.momentum": 0.9}},
    }
    assert [run.seed for run in runs_of(method="grid", space=space)] == [5, 0]


def test_true_is_not_one_in_a_condition() -> None:
    space = {"seed": {"choice": [1, 2]}, "data_seed": {"choice": [5], "when": {"seed": [True, 2]}}}
    assert [run.data_seed for run in runs_of(method="grid", space=space)] == [0, 5]


def test_both_ends_of_a_range_are_exact_and_what_is_between_is_short() -> None:
    space = {"optimizer.learning_rate": {"float": [0.12345678, 0.87654321], "points": 4}}
    rates = [run.optimizer.learning_rate for run in runs_of(method="grid", space=space)]
    assert rates == [0.12345678, 0.374486, 0.625514, 0.87654321]


def test_a_new_kind_keeps_shared_fields_that_were_changed_and_defaults_the_rest() -> None:
    base = {"optimizer": {"name": "adamw", "weight_decay": 0.2, "betas": [0.8, 0.9]}}
    (run,) = runs_of(base, method="list", runs=[{"optimizer.name": "sgd"}])
    assert run.optimizer == Sgd(weight_decay=0.2)  # no betas there; the learning rate is sgd's own


def test_equal_runs_are_kept_once_at_their_first_place() -> None:
    runs = runs_of(method="list", runs=[{"seed": 1}, {}, {"seed": 0}, {"seed": 1.0}, {"seed": 2}])
    assert [run.seed for run in runs] == [1, 0, 2]


def test_whole_ranges_are_rounded_without_repeats_and_log_ranges_of_whole_fields_too() -> None:
    assert [run.seed for run in runs_of(method="grid", space={"seed": {"int": [1, 3], "points": 9}})] == [1, 2, 3]
    space = {"training.batch_size": {"log": [8, 64], "points": 4}}
    assert [run.training.batch_size for run in runs_of(method="grid", space=space)] == [8, 16, 32, 64]


def test_a_path_can_switch_on_an_optional_part_and_reach_into_a_free_mapping() -> None:
    (run,) = runs_of(
        method="list",
        runs=[{"training.ema.decay": 0.5, "model": {"name": "huggingface", "model": "x"}, "model.config.depth": 3}],
    )
    assert run.training.ema is not None
    assert run.training.ema.decay == 0.5
    assert run.model.config == {"depth": 3}  # type: ignore[union-attr]


# Draws


DIMENSIONS = {
    "seed": {"int": [0, 1000]},
    "training.epochs": {"choice": [1, 2, 3]},
    "optimizer.learning_rate": {"log": [1e-5, 1.0]},
    "optimizer.weight_decay": {"float": [0.0, 0.5]},
    "training.batch_size": {"log": [4, 512]},
    "model.name": {"choice": ["mlp", "cnn", "vit"]},
    "model.dropout": {"float": [0.0, 0.9], "when": {"model.name": ["mlp", "cnn"]}},
}


def value_at(run: RunSpec, path: str) -> Any:
    value: Any = run
    for name in path.split("."):
        value = getattr(value, name)
    return value


@given(st.lists(st.sampled_from(sorted(DIMENSIONS)), unique=True, min_size=1), st.integers(0, 2**32 - 1))
def test_the_draws_of_a_dimension_do_not_depend_on_the_others(paths: list[str], seed: int) -> None:
    # data_seed tells the samples apart, so that equal draws are not merged.
    numbered = {"data_seed": {"int": [0, 2**32 - 1]}}
    some = runs_of(
        method="random", samples=4, seed=seed, space={**{path: DIMENSIONS[path] for path in paths}, **numbered}
    )
    every = runs_of(method="random", samples=4, seed=seed, space={**DIMENSIONS, **numbered})
    for path in set(paths) - {"model.dropout"}:
        assert [value_at(run, path) for run in some] == [value_at(run, path) for run in every]


@given(st.integers(0, 2**32 - 1))
def test_random_runs_repeat_stay_in_range_and_obey_conditions(seed: int) -> None:
    runs = runs_of(method="random", samples=8, seed=seed, space=DIMENSIONS)
    assert runs == runs_of(method="random", samples=8, seed=seed, space=DIMENSIONS)
    assert len({run.hash for run in runs}) == len(runs) <= 8
    for run in runs:
        assert 1e-5 <= run.optimizer.learning_rate <= 1
        assert 4 <= run.training.batch_size <= 512
        assert run.model.name != "vit" or run.model.dropout == 0  # type: ignore[union-attr]


def test_draws_spread_over_a_range_as_it_says() -> None:
    space = {"optimizer.learning_rate": {"log": [1e-4, 1e-2]}, "seed": {"int": [1, 4]}, "data_seed": {"int": [0, 9**9]}}
    runs = runs_of(method="random", samples=2000, space=space)
    low = sum(run.optimizer.learning_rate < 1e-3 for run in runs)
    assert 900 < low < 1100  # half of a log range lies below its geometric middle
    for seed in (1, 2, 3, 4):
        assert 400 < sum(run.seed == seed for run in runs) < 600


def test_dimensions_with_the_same_range_are_drawn_apart() -> None:
    same = {"int": [0, 10**6]}
    runs = runs_of(method="random", samples=20, space={"seed": same, "data_seed": same})
    assert sum(run.seed == run.data_seed for run in runs) < 2


def test_another_search_seed_gives_other_runs() -> None:
    space = {"optimizer.learning_rate": {"log": [1e-4, 1e-2]}}
    first, second = (runs_of(method="random", samples=3, seed=seed, space=space) for seed in (0, 1))
    assert not set(first) & set(second)


# Errors


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (
            {"method": "grid", "space": {"optimizer.learningrate": {"choice": [1]}}},
            "search.space.optimizer.learningrate: there is no field 'learningrate'; did you mean 'learning_rate'?",
        ),
        (
            {"method": "list", "runs": [{}, {"optimiser": "sgd"}]},
            "search.runs.1: run 2: optimiser: there is no field 'optimiser'; did you mean 'optimizer'?",
        ),
        (
            {"method": "list", "runs": [{}, {"seed": -1}]},
            "search.runs.1: run 2 (seed=-1): seed: must be greater than or equal to 0 (got -1)",
        ),
        (
            {"method": "list", "runs": [{"metrics.0.k": 3}]},
            "search.runs.0: run 1: metrics.0.k: metrics is a list, so give the whole list",
        ),
        (
            {"method": "list", "runs": [{"seed.low": 3}]},
            "search.runs.0: run 1: seed.low: seed is a single value, so it has no fields",
        ),
        (
            {"method": "grid", "space": {"optimizer.name": {"choice": ["adamw"]}, "optimizer.alpha": {"choice": [1]}}},
            "search.space.optimizer.alpha: in a run with optimizer.name=adamw: adamw has no field 'alpha'; "
            "for rmsprop alone, write `when: {optimizer.name: rmsprop}`",
        ),
        (
            {"method": "grid", "space": {"seed": {"choice": [1], "when": {"model": "vitt"}}}},
            "search.space.seed.when.model: model.name is never 'vitt'; did you mean 'vit'?",
        ),
        (
            {"method": "grid", "space": {"seed": {"choice": [1], "when": {"model": "vit"}}}},
            "search.space.seed: its `when` holds in no run, so it varies nothing",
        ),
        (
            {"method": "grid", "space": {"seed": {"choice": [1], "when": {"modle": "vit"}}}},
            "search.space.seed.when.modle: there is no field 'modle'; did you mean 'model'?",
        ),
        (
            {"method": "grid", "space": {"seed": {"choice": [1], "when": {"seed": 1}}}},
            "search.space.seed: its `when` asks for its own value",
        ),
        (
            {
                "method": "grid",
                "space": {
                    "seed": {"choice": [1], "when": {"data_seed": 1}},
                    "data_seed": {"choice": [1], "when": {"seed": 1}},
                },
            },
            "search.space: seed, data_seed wait for each other; remove one of their `when`",
        ),
        (
            {"method": "grid", "space": {f"training.{name}": {"int": [1, 99], "points": 99} for name in "ab"}},
            "search.space.training.a: there is no field 'a'",
        ),
        (
            {
                "method": "grid",
                "space": {
                    name: {"int": [1, 999], "points": 999} for name in ("training.epochs", "training.batch_size")
                },
            },
            "search.space: the grid has 998,001 runs, more than 10,000; take away values or dimensions",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_do(search: dict[str, Any], expected: str) -> None:
    assert problem_of(**search).startswith(expected)


def test_a_part_that_does_not_say_its_kind_is_of_the_kind_of_the_base_run() -> None:
    search = {"method": "list", "runs": [{"optimizer": {"learning_rate": 0.1}}, {"optimizer.learning_rate": 0.2}]}
    run = {"optimizer": {"name": "sgd", "momentum": 0.5}}
    whole, field = (spec.optimizer for spec in expand(SweepSpec.model_validate({"run": run, "search": search})))
    assert isinstance(whole, Sgd)
    assert isinstance(field, Sgd)
    assert (whole.momentum, field.momentum) == (Sgd().momentum, 0.5), "all of a whole part is new"


def test_one_bad_value_is_told_once_with_the_first_run_that_has_it() -> None:
    space = {"seed": {"choice": [1, 2, 3]}, "model.dropout": {"choice": [0.5, 2]}}
    assert problem_of(method="grid", space=space) == (
        "search.space.model.dropout: run 2 (seed=1, model.dropout=2) and 2 more: "
        "model.dropout: must be less than 1 (got 2)"
    )
