"""PASHA, Hyperband, the median rule and population based training: each decides as its paper says."""

import math
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from modelyard.domain.config import SweepSpec
from modelyard.domain.search_log import DecisionKind, Ending, Evaluation, Opened, Taken, Trained
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import Trial, TrialStatus

Make = Callable[..., SweepSpec]
Play = Callable[..., Any]


def rate(trial: Trial) -> float:
    return trial.spec.optimizer.learning_rate


def crossing(trial: Trial, epoch: int) -> dict[str, float]:
    """Slow starters win: each rung turns the ranking of the one before."""
    rung = int(math.log(epoch, 3))
    return {"val_loss": (rate(trial) if rung % 2 else 1 - rate(trial)) + 1 / epoch}


def noisy(trial: Trial, epoch: int) -> dict[str, float]:
    """Curves that cross and cross back, far closer to each other than they fall."""
    return {"val_loss": 1 / epoch + 1e-3 * ((trial.number * 7 + epoch * 5) % 11)}


def test_pasha_stops_where_the_ranking_is_stable(sweep: Make, play: Play) -> None:
    search = {"samples": 27, "concurrency": 27}
    asha = play(sweep({"scheduler": "asha", **search}, epochs=81)).search.trials
    pasha = play(sweep({"scheduler": "pasha", **search}, epochs=81)).search.trials
    assert sorted(trial.epoch for trial in asha)[-3] > 3
    # No trial came to the third rung by promotion; the best one alone trains to its end.
    assert sorted(trial.epoch for trial in pasha)[-2:] == [3, 81]
    second = sorted(pasha, key=rate)[1]
    assert second.reason.endswith(
        "; the ranking of the 9 at epoch 3 is that at epoch 1, so that only the best one trains to its end"
    )


def test_pasha_grows_while_the_ranking_changes(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "pasha", "samples": 27, "concurrency": 27}, epochs=81), crossing)
    assert Counter(trial.epoch for trial in played.search.trials)[9] > 0
    further = [one.reason for one in played.of(DecisionKind.PROMOTE) if one.until == 9]
    assert further
    why = r"; epoch 9 is open since trial \d+ is \w+ of \d+ at epoch 3, where at epoch 1 trial \d+ was"
    assert all(re.search(why, reason) for reason in further)
    assert not any("is open since" in one.reason for one in played.of(DecisionKind.PROMOTE) if one.until == 3)


def test_pasha_takes_curves_that_cross_back_for_noise(sweep: Make, play: Play) -> None:
    def furthest(percentile: float) -> int:
        scheduler = {"name": "pasha", "noise_percentile": percentile, "min_epochs": 3}
        spec = sweep({"scheduler": scheduler, "samples": 27, "concurrency": 27}, epochs=243)
        trials = play(spec, noisy).search.trials
        return sorted(trial.epoch for trial in trials)[-2]

    assert furthest(100.0) < furthest(0.0)


def test_hyperband_deals_brackets_in_fixed_shares(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "hyperband", "samples": 17, "concurrency": 17}))
    # R = 9, eta = 3: nine, five and three configurations in the brackets that start at 1, 3 and 9 epochs.
    first = [decision.until for decision in played.of(DecisionKind.START)]
    assert Counter(first) == {1: 9, 3: 5, 9: 3}
    again = play(sweep({"scheduler": "hyperband", "samples": 17, "concurrency": 2}))
    assert [decision.until for decision in again.of(DecisionKind.START)] == first


def test_hyperband_ranks_within_a_bracket(sweep: Make, play: Play) -> None:
    played = play(sweep({"scheduler": "hyperband", "samples": 17, "concurrency": 17}))
    starts = {decision.trial: decision.until for decision in played.of(DecisionKind.START)}
    promoted = [one for one in played.of(DecisionKind.PROMOTE) if starts[one.trial] == 1 and one.until == 3]
    assert len(promoted) == 3
    ranked = [re.search(r"is (\d+)\w\w of (\d+) at epoch 1,", one.reason) for one in promoted]
    assert all(found and int(found[1]) <= 3 and int(found[2]) <= 9 for found in ranked)


def test_each_bracket_of_hyperband_trains_its_best_to_the_end(sweep: Make, play: Play) -> None:
    # R = 27 asks for 49; of eight, four, two and one are in brackets that are too small to leave one by thirds.
    played = play(sweep({"scheduler": "hyperband", "samples": 8, "concurrency": 8}, epochs=27))
    starts = {decision.trial: decision.until for decision in played.of(DecisionKind.START)}
    assert Counter(starts.values()) == {1: 4, 3: 2, 9: 1, 27: 1}
    for first in (1, 3, 9, 27):
        best = min((trial for trial in played.search.trials if starts[trial.number] == first), key=rate)
        assert best.status is TrialStatus.COMPLETED
    # Side by side: after the run that is in the bracket of 27 there is time for no more than 27 epochs.
    assert played.search.now <= 27 + 27


def test_a_winner_of_hyperband_that_somebody_stopped_does_not_go_on(sweep: Make) -> None:
    search = Search(sweep({"scheduler": "hyperband", "samples": 8, "concurrency": 1}, epochs=27))
    search.feed(Opened())
    while (trial := search.expected) is not None and "so it trains to its end" not in trial.reason:
        search.feed(reached(trial))
    assert trial is not None
    taken = next(one for one in search.trials if one.status is TrialStatus.WAITING and one.epoch == 9)
    search.feed(Taken(trial=taken.number, message="stopped by hand"))
    while (trial := search.expected) is not None:
        assert trial is not taken
        search.feed(reached(trial))
    assert search.over
    assert taken.status is TrialStatus.LEFT


def reached(trial: Trial) -> Trained:
    losses = tuple(
        Evaluation(epoch=epoch, metrics={"val_loss": rate(trial) + 1 / epoch})
        for epoch in range(trial.epoch + 1, trial.until + 1)
    )
    return Trained(trial=trial.number, ending=Ending.REACHED, evaluations=losses)


@pytest.mark.parametrize(("name", "field"), [("pasha", "min_epochs"), ("hyperband", "min_epochs")])
def test_the_first_rung_and_the_reduction_are_what_the_config_says(
    name: str, field: str, sweep: Make, play: Play
) -> None:
    played = play(sweep({"scheduler": {"name": name, field: 2, "reduction": 2}, "samples": 16}))
    ends = {decision.until for decision in played.decisions if decision.kind is not DecisionKind.STOP}
    assert {2, 4} <= ends <= {2, 4, 8, 9}


def medians(sweep: Make, play: Play, **fields: int) -> Any:
    scheduler = {"name": "median", "min_runs": 2, **fields}
    return play(sweep({"scheduler": scheduler, "samples": 9, "concurrency": 9}))


def test_the_median_rule_stops_the_worse_half(sweep: Make, play: Play) -> None:
    played = medians(sweep, play, min_runs=8)
    ranked = sorted(played.search.trials, key=rate)
    # Only the last of nine sees eight others at epoch 1; from epoch 2 on, those behind the median go.
    assert ranked[0].status is TrialStatus.COMPLETED
    stopped = [trial for trial in played.search.trials if trial.status is TrialStatus.STOPPED]
    assert all(rate(trial) > rate(ranked[0]) for trial in stopped)


def test_the_median_is_of_running_averages(sweep: Make, play: Play) -> None:
    losses = {1: [4.0, 2.0], 2: [4.0, 3.0], 3: [9.0, 3.4], 4: [9.0, 2.3]}

    def curve(trial: Trial, epoch: int) -> dict[str, float]:
        return {"val_loss": losses[trial.number][min(epoch, 2) - 1]}

    played = play(
        sweep({"scheduler": {"name": "median", "grace": 2, "min_runs": 2}, "samples": 4, "concurrency": 1}), curve
    )
    # The running averages at epoch 2 are 3 and 3.5, their median 3.25: 3.4 is worse, 2.3 is not.
    assert [trial.status for trial in played.search.trials] == [
        TrialStatus.COMPLETED,
        TrialStatus.COMPLETED,
        TrialStatus.STOPPED,
        TrialStatus.COMPLETED,
    ]
    assert played.search.trials[2].reason == (
        "stopped at epoch 2: its best val_loss 3.4 is worse than 3.25, the median of the running averages of 2 others"
    )


def test_grace_interval_and_min_runs_say_when_the_median_rule_looks(sweep: Make, play: Play) -> None:
    ends = lambda played: {one.until for one in played.decisions if one.kind is DecisionKind.PROMOTE}  # noqa: E731
    assert {decision.until for decision in medians(sweep, play, grace=3).of(DecisionKind.START)} == {3}
    assert ends(medians(sweep, play, grace=3, interval=2)) == {5, 7, 9}
    stopped = [len(medians(sweep, play, min_runs=number).of(DecisionKind.STOP)) for number in (1, 9)]
    assert stopped[0] > stopped[1] == 0


POPULATION = {"samples": 8, "concurrency": 3}


def population(sweep: Make, play: Play, *, endings: Any = None, epochs: int = 9, **fields: float) -> Any:
    scheduler = {"name": "pbt", "interval": 3, **fields}
    return play(sweep({"scheduler": scheduler, **POPULATION}, epochs=epochs), endings=endings)


def test_the_worst_go_on_as_copies_of_the_best(sweep: Make, play: Play) -> None:
    played = population(sweep, play)
    ranked = sorted(played.search.trials[:8], key=rate)
    forks = [trial for trial in played.search.trials if trial.parent is not None]
    first = [trial for trial in forks if trial.start == 3]
    assert len(first) == 2
    assert {trial.parent for trial in first} <= {trial.number for trial in ranked[:2]}
    assert {
        trial.number for trial in played.search.trials if trial.status is TrialStatus.STOPPED and trial.epoch == 3
    } == {trial.number for trial in ranked[-2:]}
    assert sum(trial.status is TrialStatus.COMPLETED for trial in played.search.trials) == 8
    told = played.of(DecisionKind.FORK)[0].reason
    assert f"goes on from trial {first[0].parent} at epoch 3" in told
    assert f"(was {rate(played.search.trials[(first[0].parent or 0) - 1])})" in told


def test_a_copy_is_scaled_or_drawn_anew_within_the_space(sweep: Make, play: Play) -> None:
    for resample in (0.0, 1.0):
        played = population(sweep, play, resample=resample, quantile=0.5, epochs=30)
        trials = played.search.trials
        ratios = [rate(one) / rate(trials[one.parent - 1]) for one in trials if one.parent is not None]
        near = [math.isclose(ratio, 0.8, rel_tol=1e-4) or math.isclose(ratio, 1.25, rel_tol=1e-4) for ratio in ratios]
        at_an_end = [1e-4 in {rate(one), rate(trials[one.parent - 1])} for one in trials if one.parent is not None]
        assert all(1e-4 <= rate(trial) <= 1e-1 for trial in trials)
        if resample == 0.0:
            assert all(ok or end for ok, end in zip(near, at_an_end, strict=True))
        else:
            assert sum(near) < len(near) / 2


def test_interval_and_quantile_say_when_and_how_many(sweep: Make, play: Play) -> None:
    starts = Counter(trial.start for trial in population(sweep, play, interval=4).search.trials)
    assert starts == {0: 8, 4: 2, 8: 2}
    halves = Counter(trial.start for trial in population(sweep, play, quantile=0.5).search.trials)
    assert halves == {0: 8, 3: 4, 6: 4}


def test_a_member_that_failed_is_replaced(sweep: Make, play: Play) -> None:
    failed = {(number, 3): Ending.FAILED for number in (1, 2, 3)}
    played = population(sweep, play, endings=failed)
    replaced = [trial for trial in played.search.trials if "in place of one that failed" in trial.reason]
    told = [one for one in played.of(DecisionKind.FORK) if "in place of one that failed" in one.reason]
    assert len(told) == 3
    assert len(replaced) <= 3
    assert sum(trial.status is TrialStatus.COMPLETED for trial in played.search.trials) == 8


def test_choices_and_whole_numbers_change_too(sweep: Make, play: Play) -> None:
    space = {
        "optimizer.learning_rate": {"log": [1e-4, 1e-1]},
        "optimizer.momentum": {"choice": [0.1, 0.5, 0.9]},
        "training.clip_norm": {"float": [0.5, 2.0]},
    }
    base = sweep({}).model_dump(mode="json")
    search = {"method": "random", "samples": 8, "space": space, "scheduler": {"name": "pbt", "resample": 0.5}}
    spec = SweepSpec.model_validate({**base, "run": {**base["run"], "optimizer": {"name": "sgd"}}, "search": search})
    trials = play(spec).search.trials
    pairs = [(one, trials[one.parent - 1]) for one in trials if one.parent is not None]
    assert any(one.spec.optimizer.momentum != other.spec.optimizer.momentum for one, other in pairs)
    assert {one.spec.optimizer.momentum for one, _ in pairs} <= {0.1, 0.5, 0.9}
    assert all(0.5 <= (one.spec.training.clip_norm or 0) <= 2.0 for one, _ in pairs)


def test_generations_do_not_overlap(sweep: Make, play: Play) -> None:
    played = population(sweep, play)
    epochs = [decision.epoch for decision in played.decisions if decision.kind is DecisionKind.FORK]
    assert all(before <= after for before, after in pairwise(epochs))
