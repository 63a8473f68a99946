"""How many steps two runs have in common."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.config import RunSpec
from modelyard.domain.past import past_key
from modelyard.tasks.schedules import factor
from modelyard.tasks.shared_past import fork_step, shared_steps

PER_EPOCH = 7


def spec(**changes: Any) -> RunSpec:
    training = {"epochs": 6, **changes.pop("training", {})}
    return RunSpec.model_validate({"training": training, **changes})


def stopping(patience: int, **training: Any) -> RunSpec:
    return spec(training={"early_stopping": {"patience": patience}, **training})


EARLY = {"patience": 2}
SPECS = st.builds(
    lambda epochs, schedule, seed, every, early, metrics, rate: spec(
        training={"epochs": epochs, "evaluate_every": every, "early_stopping": early},
        schedule=schedule,
        seed=seed,
        metrics=metrics,
        optimizer={"name": "sgd", "learning_rate": rate},
    ),
    st.sampled_from([1, 2, 5, 6]),
    st.sampled_from(["constant", "cosine", "step", {"name": "step", "every": 0.5}, {"name": "warmup-cosine"}]),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([1, 2]),
    st.sampled_from([None, EARLY, {"patience": 1}]),
    st.sampled_from([["accuracy"], ["accuracy", "f1_macro"]]),
    st.sampled_from([0.1, 0.1, 0.01]),
)


def fork(one: RunSpec, other: RunSpec) -> int:
    return fork_step(one, other, steps_per_epoch=PER_EPOCH) if past_key(one) == past_key(other) else 0


def shared(one: RunSpec, other: RunSpec) -> int:
    return shared_steps(one, other, steps_per_epoch=PER_EPOCH)


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": ["accuracy"]},
        {"training": {"log_every": 3}},
        {"training": {"eval_batch_size": 8}},
        {"training": {"evaluate_every": 3}},
        {"training": {"max_retries": 0}},
        {"training": {"checkpoint": {"every_steps": 2, "metric": "val_accuracy"}}},
    ],
)
def test_what_is_measured_and_kept_changes_no_step(changes: dict[str, Any]) -> None:
    assert shared(spec(), spec(**changes)) == 6 * PER_EPOCH


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"data_seed": 1},
        {"loss": "focal"},
        {"augment": "light"},
        {"optimizer": {"name": "adamw", "learning_rate": 0.002}},
        {"model": {"name": "mlp", "dropout": 0.1}},
        {"data": {"source": "digits", "max_per_class": 5}},
        {"training": {"batch_size": 8}},
        {"training": {"accumulate": 2}},
        {"training": {"clip_norm": 1.0}},
        {"training": {"precision": "bf16"}},
        {"training": {"ema": {"decay": 0.9}}},
        {"training": {"threads": 2}},
        {"training": {"deterministic": False}},
        {"training": {"device": "cpu"}},
    ],
)
def test_what_changes_a_step_leaves_nothing_in_common(changes: dict[str, Any]) -> None:
    assert shared(spec(), spec(**changes)) == 0


def test_a_longer_run_with_a_constant_rate_begins_with_the_shorter_one() -> None:
    assert shared(spec(training={"epochs": 2}), spec(training={"epochs": 6})) == 2 * PER_EPOCH


def test_schedules_are_compared_by_their_values() -> None:
    one, other = (spec(schedule={"name": "step", "every": every}) for every in (0.25, 0.5))
    assert shared(one, other) == 11  # a quarter of 42 steps, rounded up
    assert shared(spec(schedule="cosine"), spec(schedule="cosine", training={"epochs": 5})) == 1
    assert shared(spec(schedule={"name": "cosine", "final": 0.1}), spec(schedule={"name": "cosine", "final": 0.2})) == 1
    assert shared(spec(schedule="constant"), spec(schedule={"name": "step", "every": 1.0})) == 6 * PER_EPOCH


def test_early_stopping_changes_no_step_that_is_taken() -> None:
    assert shared(spec(), stopping(3)) == 6 * PER_EPOCH
    assert shared(stopping(4), stopping(3, evaluate_every=2)) == 6 * PER_EPOCH


def test_a_fork_is_worth_an_epoch_and_before_the_last_step_of_the_shorter_run() -> None:
    assert fork(spec(training={"epochs": 2}), spec()) == 2 * PER_EPOCH - 1
    assert fork(spec(), stopping(3)) == 6 * PER_EPOCH - 1
    assert fork(spec(), spec(schedule={"name": "step", "every": 0.5})) == 3 * PER_EPOCH
    assert fork(spec(), spec(schedule={"name": "step", "every": 0.1})) == 0
    assert fork(spec(schedule="cosine"), spec(schedule="cosine", training={"epochs": 5})) == 0


def test_runs_with_equal_configs_never_fork() -> None:
    assert fork(spec(), spec()) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"metrics": ["accuracy"]},
        {"training": {"log_every": 3}},
        {"training": {"evaluate_every": 2}},
        {"training": {"checkpoint": {"keep": 3}}},
        {"schedule": "cosine"},
    ],
)
def test_another_beginning_or_other_measures_are_another_past(changes: dict[str, Any]) -> None:
    assert past_key(spec()) != past_key(spec(**changes))


@given(SPECS, SPECS)
def test_what_forks_shares_all_of_it(one: RunSpec, other: RunSpec) -> None:
    steps = fork(one, other)
    assert steps == fork(other, one)
    assert steps <= shared(one, other)


@given(SPECS, SPECS, SPECS)
def test_it_is_a_tree_of_pasts(one: RunSpec, two: RunSpec, three: RunSpec) -> None:
    assert shared(one, one) == one.training.epochs * PER_EPOCH
    assert shared(one, two) == shared(two, one)
    assert shared(one, three) >= min(shared(one, two), shared(two, three))


@given(SPECS, SPECS)
def test_all_shared_steps_have_the_same_rate(one: RunSpec, other: RunSpec) -> None:
    ends = [one.training.epochs * PER_EPOCH, other.training.epochs * PER_EPOCH]
    for step in range(shared(one, other)):
        assert factor(one.schedule, step, ends[0]) == factor(other.schedule, step, ends[1])
