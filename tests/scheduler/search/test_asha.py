"""ASHA: who is promoted, who is dropped and why, and that one trial always trains to its end."""

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.domain.config import SweepSpec
from modelyard.domain.search_log import DecisionKind, Ending, Taken
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import Trial, TrialStatus

Make = Callable[..., SweepSpec]
Play = Callable[..., Any]


def rate(trial: Trial) -> float:
    return trial.spec.optimizer.learning_rate


def test_the_best_third_goes_on_at_each_rung(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "concurrency": 9}))
    reached = [sum(trial.epoch >= epoch for trial in played.search.trials) for epoch in (1, 3, 9)]
    assert reached == [9, 3, 1]
    ranked = sorted(played.search.trials, key=rate)
    assert ranked[0].epoch == 9
    assert {trial.number for trial in ranked[:3]} == {t.number for t in played.search.trials if t.epoch >= 3}


@pytest.mark.parametrize(("reduction", "rungs"), [(2, [2, 4, 8, 9]), (4, [2, 8, 9])])
def test_min_epochs_and_reduction_say_where_the_rungs_are(
    reduction: int, rungs: list[int], sweep: Make, play: Play
) -> None:
    scheduler = {"name": "asha", "min_epochs": 2, "reduction": reduction}
    played = play(sweep({"scheduler": scheduler, "samples": 16, "concurrency": 16}))
    assert sorted({decision.until for decision in played.decisions if decision.kind is not DecisionKind.END}) == rungs


def test_reasons_name_the_value_the_place_and_the_limit(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "concurrency": 9}))
    ranked = sorted(played.search.trials, key=rate)
    value, limit = rate(ranked[3]) + 1, rate(ranked[2]) + 1
    assert ranked[3].reason == (
        f"stopped at epoch 1: val_loss {value:.4g} is 4th of 9 there; the best third goes on ({limit:.4g} or less)"
    )
    first = next(one for one in played.of(DecisionKind.PROMOTE) if one.trial == ranked[0].number)
    assert first.reason == (
        f"goes on to epoch 3: val_loss {rate(ranked[0]) + 1:.4g} is 1st of 9 at epoch 1, and the best third goes on"
    )


def test_a_tie_is_told(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "concurrency": 9}), curve=lambda trial, epoch: {"val_loss": 1.0})
    assert played.search.trials[8].reason.endswith(
        "the best third goes on (1 or less, of equal ones those that began first)"
    )


def test_a_promotion_does_not_wait_for_the_whole_rung(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "concurrency": 1}))
    kinds = [decision.kind for decision in played.decisions]
    assert kinds.index(DecisionKind.PROMOTE) < len(kinds) - 1 - kinds[::-1].index(DecisionKind.START)


def test_one_trial_trains_to_its_end_even_if_too_few_came_far(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "samples": 2}))
    best, other = sorted(played.search.trials, key=rate)
    assert (best.status, best.epoch) == (TrialStatus.COMPLETED, 9)
    assert other.status is TrialStatus.STOPPED
    assert other.reason.endswith("too few came as far for one of them to go on")
    assert "the best of those that came furthest" in played.of(DecisionKind.PROMOTE)[-1].reason


def test_if_the_winner_fails_the_next_one_trains_to_its_end(sweep: Make, play: Play) -> None:
    spec = sweep({"scheduler": "asha", "samples": 3})
    best = sorted(play(spec).search.trials, key=rate)[0].number
    played = play(spec, endings={(best, 9): Ending.FAILED, (best, 3): Ending.FAILED})
    second = sorted(played.search.trials, key=rate)[1]
    assert (second.status, second.epoch) == (TrialStatus.COMPLETED, 9)


def test_a_trial_that_ends_early_by_itself_counts_and_frees_its_worker(sweep: Make, play: Play) -> None:
    spec = sweep({"scheduler": "asha", "samples": 9, "concurrency": 9})
    best = sorted(play(spec).search.trials, key=rate)[0].number
    played = play(spec, endings={(best, 9): Ending.COMPLETED})
    trial = played.search.trials[best - 1]
    assert (trial.status, trial.epoch) == (TrialStatus.COMPLETED, 8)
    assert played.search.best is trial
    assert played.search.failure == ""


def test_a_trial_without_the_metric_is_never_promoted_and_nan_is_called_so(sweep: Make, play: Play) -> None:
    def curve(trial: Trial, epoch: int) -> dict[str, float | None]:
        odd: list[dict[str, float | None]] = [{}, {"val_mae": 1.0, "val_mse": 2.0}, {"val_loss": None, "val_mae": 1.0}]
        return odd[trial.number - 1] if trial.number <= len(odd) else {"val_loss": rate(trial)}

    played = play(sweep({"scheduler": "asha"}), curve)
    assert [trial.reason for trial in played.search.trials[:3]] == [
        "stopped at epoch 1: it reported no val_loss",
        "stopped at epoch 1: it reported no val_loss, but val_mae, val_mse",
        "stopped at epoch 1: val_loss is NaN or infinite",
    ]


def test_a_search_without_any_result_says_what_was_missing(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha"}), lambda *_: {"val_loss": None})
    assert played.search.ending.endswith("0 of them trained to their end; none of them reported a finite val_loss")
    assert played.search.failure == played.search.ending


def test_a_trial_that_was_taken_is_left_alone_and_replaced(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "asha", "concurrency": 9}))
    best = min(played.search.trials, key=rate).number
    search = Search(sweep({"scheduler": "asha", "concurrency": 9}))
    promoted: list[int] = []
    for entry in played.log[:10]:  # all nine are at the first rung, three of them go on
        promoted += [one.trial for one in search.feed(entry) if one.kind is DecisionKind.PROMOTE and one.trial]
    waiting = next(trial for trial in search.trials if trial.status is TrialStatus.WAITING)
    assert waiting.number not in promoted
    assert search.feed(Taken(trial=waiting.number, message="resumed by ada")) == ()
    assert (waiting.status, waiting.reason) == (TrialStatus.LEFT, "resumed by ada")
    assert best in promoted
