"""A search is a function of its config and its log: timing, order of arrival and restarts change nothing."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.domain.config import SweepSpec
from modelyard.domain.search_log import DecisionKind, Ending, Taken
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import Trial, TrialStatus

Make = Callable[..., SweepSpec]
Play = Callable[..., Any]


def crossing(seed: int) -> Callable[[Trial, int], dict[str, float]]:
    def curve(trial: Trial, epoch: int) -> dict[str, float]:
        return {"val_loss": random.Random(f"{seed} {trial.number} {epoch}").random()}

    return curve


CONFIGS: list[dict[str, Any]] = [
    {"scheduler": "asha"},
    {"scheduler": "asha", "budget": {"epochs": 20}},
    {"budget": {"epochs": 30}},
    {"scheduler": "pasha"},
    {"scheduler": {"name": "hyperband", "reduction": 2}},
    {"scheduler": {"name": "median", "min_runs": 2}},
    {"scheduler": {"name": "pbt", "interval": 2}},
    {"scheduler": {"name": "pbt", "interval": 2}, "budget": {"epochs": 40}},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), arrival=st.integers(0, 2**16), concurrency=st.integers(1, 12))
def test_the_order_of_arrival_changes_no_decision(
    config: dict[str, Any], seed: int, arrival: int, concurrency: int, sweep: Make, play: Play
) -> None:
    spec = sweep({**config, "concurrency": concurrency}, epochs=9)
    in_order = play(spec, crossing(seed))
    at_random = play(spec, crossing(seed), arrivals=random.Random(arrival))
    assert at_random.decisions == in_order.decisions
    assert at_random.log == in_order.log


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_log_alone_brings_a_search_back(config: dict[str, Any], sweep: Make, play: Play) -> None:
    played = play(sweep({**config, "concurrency": 3}), crossing(4))
    for length in range(len(played.log) + 1):
        again = Search(sweep({**config, "concurrency": 3}))
        decisions = [decision for entry in played.log[:length] for decision in again.feed(entry)]
        assert decisions == played.decisions[: len(decisions)]
    assert again.over


def test_logical_workers_bound_how_many_trials_train(sweep: Make, play: Play) -> None:
    counts = {}
    for concurrency in (1, 4):
        played = play(sweep({"scheduler": "asha", "concurrency": concurrency}))
        search, most = Search(sweep({"scheduler": "asha", "concurrency": concurrency})), 0
        for entry in played.log:
            search.feed(entry)
            most = max(most, len(search.training))
        counts[concurrency] = most
    assert counts == {1: 1, 4: 4}


def test_another_seed_makes_other_trials(sweep: Make, play: Play) -> None:
    rates = [
        {trial.spec.optimizer.learning_rate for trial in play(sweep({"scheduler": "asha", "seed": seed})).search.trials}
        for seed in (0, 0, 1)
    ]
    assert rates[0] == rates[1] != rates[2]


def test_a_budget_of_epochs_is_never_exceeded_and_said(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "budget": {"epochs": 14}}))
    assert sum(trial.epoch for trial in played.search.trials) <= 14
    (end,) = played.of(DecisionKind.END)
    assert "the budget of 14 epochs is used up" in end.reason
    stopped = [trial for trial in played.search.trials if trial.status is TrialStatus.STOPPED]
    assert all("the budget of 14 epochs" in trial.reason for trial in stopped)


def test_a_closed_search_stops_all_of_its_trials(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "concurrency": 3}), close_after=4)
    assert played.search.over
    assert not played.search.training
    assert {trial.status for trial in played.search.trials} == {TrialStatus.STOPPED}
    assert {trial.reason for trial in played.search.trials} == {"the budget is used up"}
    assert played.search.feed(Taken(trial=1, message="later")) == ()


def test_without_a_scheduler_every_trial_trains_to_its_end(sweep: Make, play: Play) -> None:
    played = play(sweep({"budget": {"epochs": 1000}, "concurrency": 2}))
    assert [decision.until for decision in played.of(DecisionKind.START)] == [9] * 9
    assert {trial.status for trial in played.search.trials} == {TrialStatus.COMPLETED}
    best = min(played.search.trials, key=lambda trial: trial.spec.optimizer.learning_rate)
    assert played.search.best is best
    assert f"the best is trial {best.number}" in played.decisions[-1].reason


def test_a_metric_of_which_more_is_better(sweep: Make, play: Play) -> None:
    def accuracy(trial: Trial, epoch: int) -> dict[str, float]:
        return {"val_accuracy": trial.spec.optimizer.learning_rate, "val_loss": 1.0}

    for mode, better in ((None, max), ("max", max), ("min", min)):
        search = play(sweep({"scheduler": "asha", "metric": "val_accuracy", "mode": mode}), accuracy).search
        assert search.best is better(search.trials, key=lambda trial: trial.spec.optimizer.learning_rate)


def test_failed_trials_lose_and_the_search_goes_on(sweep: Make, play: Play) -> None:
    endings = {(number, 1): Ending.FAILED for number in (1, 2, 3)}
    played = play(sweep({"scheduler": "asha"}), endings=endings)
    assert [trial.status for trial in played.search.trials[:3]] == [TrialStatus.FAILED] * 3
    assert played.search.best is not None
    assert played.search.best.number > 3
    all_failed = play(sweep({"scheduler": "asha"}), endings={(number, 1): Ending.FAILED for number in range(1, 10)})
    assert all_failed.search.best is None
    assert all_failed.decisions[-1].trial is None


def test_the_best_trial_is_that_with_the_best_value_of_any_epoch(sweep: Callable[..., SweepSpec], play: Any) -> None:
    def overfits(trial: Trial, epoch: int) -> dict[str, float]:
        return {"val_loss": 0.1 if (trial.number, epoch) == (2, 1) else 0.2 + trial.number + epoch}

    search = play(sweep({"scheduler": "asha"}), overfits).search
    assert search.best is not None
    assert search.best.number == 2
    assert "the best is trial 2 with val_loss 0.1" in search.ending
