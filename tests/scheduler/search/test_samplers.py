"""Samplers that learn: repeatable from one seed, better than chance, valid, and never the same run twice."""

import json
import logging
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.domain.base import canonical_json
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import ConfigError, MissingExtraError
from modelyard.domain.search_log import DecisionKind, Ending, Opened
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import Trial

pytest.importorskip("optuna")

Make = Callable[..., SweepSpec]
Play = Callable[..., Any]

SPACE = {"optimizer.learning_rate": {"log": [1e-5, 1.0]}, "model.dropout": {"float": [0.0, 0.9]}}
OBJECTIVES = [{"metric": "val_loss"}, {"metric": "val_accuracy", "mode": "min"}]
METHODS = [
    {"method": "tpe", "space": SPACE, "samples": 40},
    {"method": "tpe", "space": SPACE, "samples": 40, "scheduler": "asha"},
    {"method": "cma-es", "space": SPACE, "samples": 40},
    {"method": "nsga2", "space": SPACE, "samples": 40, "objectives": OBJECTIVES},
]


def distance(trial: Trial) -> float:
    """Return how far a trial is from the best learning rate, 1e-3, and the best dropout, 0.2."""
    rate = abs(math.log10(trial.spec.optimizer.learning_rate) + 3)
    return float(rate + 3 * abs(trial.spec.model.dropout - 0.2))  # type: ignore[union-attr]


def bowl(trial: Trial, epoch: int) -> dict[str, float]:
    return {"val_loss": distance(trial) + 1 / epoch, "val_accuracy": trial.spec.optimizer.learning_rate}


@pytest.mark.parametrize("search", METHODS, ids=str)
def test_the_same_seed_proposes_the_same_trials(search: dict[str, Any], sweep: Make, play: Play) -> None:
    specs = [
        [trial.spec for trial in play(sweep({**search, "seed": seed, "concurrency": 5}), bowl).search.trials]
        for seed in (0, 0, 1)
    ]
    assert specs[0] == specs[1]
    assert specs[0] != specs[2]
    assert len(specs[0]) == 40


@pytest.mark.parametrize("search", METHODS[:3], ids=str)
def test_it_learns(search: dict[str, Any], sweep: Make, play: Play) -> None:
    gains = []
    for seed in range(3):
        trials = play(sweep({**search, "seed": seed, "concurrency": 2}), bowl).search.trials
        early, late = trials[:10], trials[-10:]
        gains.append(sum(map(distance, early)) - sum(map(distance, late)))
    assert min(gains) > 0


def test_several_objectives_leave_a_front(sweep: Make, play: Play) -> None:
    played = play(sweep({**METHODS[3], "concurrency": 4}), bowl)
    front = played.search.front
    points = sorted((distance(trial), trial.spec.optimizer.learning_rate) for trial in front)
    assert len(points) > 1
    assert [rate for _, rate in points] == sorted((rate for _, rate in points), reverse=True)
    end = played.of(DecisionKind.END)[0].reason
    assert "none of these is worse in all objectives than another: trials " in end


def test_conditions_and_choices_hold(sweep: Make, play: Play) -> None:
    space = {
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "optimizer.momentum": {"float": [0.1, 0.5], "when": {"optimizer.name": "sgd"}},
        "model.hidden_sizes": {"choice": [[8], [16, 16]]},
        "training.batch_size": {"log": [8, 64]},
        "training.accumulate": {"int": [1, 3]},
    }
    trials = play(sweep({"method": "tpe", "space": space, "samples": 20}), bowl_without_space).search.trials
    kinds = {trial.spec.optimizer.name for trial in trials}
    assert kinds == {"sgd", "adamw"}
    for trial in trials:
        if trial.spec.optimizer.name == "sgd":
            assert 0.1 <= trial.spec.optimizer.momentum <= 0.5
        assert 8 <= trial.spec.training.batch_size <= 64
    assert {trial.spec.training.accumulate for trial in trials} <= {1, 2, 3}


def bowl_without_space(trial: Trial, epoch: int) -> dict[str, float]:
    return {"val_loss": trial.spec.training.batch_size / epoch}


def by_seed(trial: Trial, epoch: int) -> dict[str, float]:
    return {"val_loss": trial.spec.seed / epoch, "val_accuracy": 0.5}


@pytest.mark.parametrize("method", ["tpe", "nsga2"])
def test_no_run_is_tried_twice_and_a_small_space_ends_the_search(method: str, sweep: Make, play: Play) -> None:
    search = {"method": method, "space": {"seed": {"choice": [1, 2, 3]}}, "samples": 50}
    if method == "nsga2":
        search["objectives"] = OBJECTIVES
    trials = play(sweep(search), by_seed).search.trials
    assert sorted(trial.spec.seed for trial in trials) == [1, 2, 3]


def test_a_space_without_a_valid_point_is_refused(sweep: Make) -> None:
    space = {"data.val_fraction": {"choice": [0.6, 0.7]}, "data.test_fraction": {"float": [0.5, 0.6]}}
    with pytest.raises(ConfigError, match=r"search.space: none of 100 draws is a valid run; the last one: .*together"):
        Search(sweep({"method": "tpe", "space": space, "samples": 4})).feed(Opened())


def test_invalid_points_are_left_out(sweep: Make, play: Play) -> None:
    space = {"data.val_fraction": {"float": [0.1, 0.9]}, "data.test_fraction": {"float": [0.1, 0.9]}}
    for method in ("tpe", "cma-es"):
        trials = play(sweep({"method": method, "space": space, "samples": 12}), bowl_without_space).search.trials
        assert len(trials) == 12
        assert all(trial.spec.data.val_fraction + trial.spec.data.test_fraction < 1 for trial in trials)


def test_failed_trials_are_survived(sweep: Make, play: Play) -> None:
    for search in METHODS:
        endings = {(number, 9): Ending.FAILED for number in range(1, 9)}
        assert len(play(sweep({**search, "concurrency": 3}), bowl, endings=endings).search.trials) == 40


def test_optuna_is_asked_for_only_where_it_is_used(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    Search(sweep({"scheduler": "asha"}))
    with pytest.raises(MissingExtraError, match=r"pip install 'modelyard\[train\]'"):
        Search(sweep({"method": "tpe"}))


def test_without_cmaes_the_line_that_installs_it_is_said(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modelyard\[train\]'"):
        Search(sweep(METHODS[2]))


def test_optuna_says_nothing_and_its_logger_stays_as_it_was(
    sweep: Make, play: Play, capfd: pytest.CaptureFixture[str]
) -> None:
    before = logging.getLogger("optuna").level
    for search in METHODS:
        play(sweep(search), bowl)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("optuna").level == before


@pytest.mark.parametrize("method", ["tpe", "cma-es", "grid"])
def test_the_order_of_the_space_in_the_file_does_not_matter(method: str, sweep: Any, play: Any) -> None:
    points = {"points": 2} if method == "grid" else {}
    space = {
        "optimizer.learning_rate": {"log": [1e-4, 1e-1], **points},
        "model.dropout": {"float": [0.0, 0.5], **points},
    }
    config = {
        "method": method,
        "samples": None if method == "grid" else 6,
        "scheduler": "none",
        "budget": {"epochs": 60},
    }

    def specs(space: dict[str, Any]) -> list[Any]:
        return [trial.spec for trial in play(sweep({**config, "space": space}, epochs=3)).search.trials]

    assert specs(space) == specs(dict(reversed(space.items())))
    stored = sweep({**config, "space": space}, epochs=3).model_dump(mode="json")
    assert specs(json.loads(canonical_json(stored))["search"]["space"]) == specs(space), "as the store keeps it"
