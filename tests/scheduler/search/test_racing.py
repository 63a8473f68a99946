"""Racing: runs that are equal stay, runs that are worse go, and the error is what was allowed."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelyard.domain.config import SweepSpec
from modelyard.domain.sample_scores import pack_scores, read_scores, scores_text
from modelyard.domain.schedulers import Racing
from modelyard.domain.search_log import DecisionKind, Ending, Evaluation, Opened, Trained
from modelyard.scheduler.search.schedulers.racing import is_better
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import TrialStatus

Make = Callable[..., SweepSpec]


def race(spec: SweepSpec, draw: Callable[[int, int], Any]) -> Search:
    """Run a race whose trial ``number`` has the scores ``draw(number, epoch)``."""
    search = Search(spec)
    search.feed(Opened())
    while (trial := search.expected) is not None:
        scores = scores_text(pack_scores(draw(trial.number, trial.until)))
        evaluation = Evaluation(epoch=trial.until, metrics={"val_loss": 1.0}, scores=scores)
        search.feed(Trained(trial=trial.number, ending=Ending.REACHED, evaluations=(evaluation,)))
    return search


def racing(sweep: Make, **fields: Any) -> SweepSpec:
    return sweep({"scheduler": {"name": "racing", "patience": 1, **fields}, "samples": 6, "concurrency": 3}, epochs=6)


def survivors(search: Search) -> set[int]:
    return {trial.number for trial in search.trials if trial.status is TrialStatus.COMPLETED}


def test_scores_survive_packing_to_half_a_step() -> None:
    scores = np.random.default_rng(0).random(1000)
    again = read_scores(scores_text(pack_scores(scores)))
    assert np.abs(again - scores).max() <= 0.5 / 255 + 1e-12
    assert read_scores(scores_text(pack_scores([float("nan"), -1.0, 2.0]))).tolist() == [0.0, 0.0, 1.0]


def test_equal_runs_are_told_apart_no_more_often_than_alpha(sweep: Make) -> None:
    """The whole search, all looks and all pairs: with alpha 0.2, of 100 searches some 20 may err, and far fewer do."""
    errors = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        search = race(racing(sweep, alpha=0.2), lambda *_, own=generator: own.beta(2, 1, size=120))
        errors += len(survivors(search)) < 6
    assert errors <= 20


def test_one_comparison_errs_no_more_often_than_alpha() -> None:
    generator = np.random.default_rng(1)
    pairs = [generator.random((2, 200)) for _ in range(1000)]
    assert sum(is_better(one, other, by=0.0, alpha=0.1) for one, other in pairs) <= 100
    shifted = [(np.clip(one * 0.9 + 0.1, 0, 1), one) for one, _ in pairs]  # better by 0.05 on the average
    assert sum(is_better(one, other, by=0.06, alpha=0.1) for one, other in shifted) <= 100
    assert sum(is_better(one, other, by=0.0, alpha=0.1) for one, other in shifted) == 1000


def test_a_worse_run_goes_early_and_the_reason_says_how_much_worse(sweep: Make) -> None:
    generator = np.random.default_rng(0)
    difficulty = generator.random(400)

    def draw(number: int, epoch: int) -> Any:
        return np.clip(difficulty + generator.normal(0, 0.1, 400) - (0.2 if number == 4 else 0.0), 0, 1)

    search = race(racing(sweep), draw)
    assert survivors(search) == {1, 2, 3, 5, 6}
    trial = search.trials[3]
    assert (trial.status, trial.epoch) == (TrialStatus.STOPPED, 1)
    assert trial.reason.startswith("stopped at epoch 1: its score 0.3")
    assert "over the same 400 samples, worse (racing, alpha 0.05)" in trial.reason


def apart(gap: float) -> Callable[[int, int], Any]:
    """Trial 1 is better than all others by ``gap`` at every sample, up to noise."""
    generator = np.random.default_rng(2)
    return lambda number, epoch: np.clip(0.5 + generator.normal(0, 0.02, 300) + (gap if number == 1 else 0.0), 0, 1)


def test_the_tolerance_keeps_runs_that_are_nearly_as_good(sweep: Make) -> None:
    assert survivors(race(racing(sweep), apart(0.1))) == {1}
    assert survivors(race(racing(sweep, tolerance=0.15), apart(0.1))) == {1, 2, 3, 4, 5, 6}


def test_patience_and_interval_say_when_a_worse_run_ends(sweep: Make) -> None:
    ended = lambda **fields: {t.epoch for t in race(racing(sweep, **fields), apart(0.2)).trials if t.number > 1}  # noqa: E731
    assert ended() == {1}
    assert ended(patience=3) == {3}
    assert ended(interval=2) == {2}
    assert ended(interval=2, patience=2) == {4}


def test_by_default_it_looks_nine_times() -> None:
    assert [Racing().every(epochs) for epochs in (2, 9, 17, 27, 100)] == [1, 1, 1, 3, 11]
    assert Racing(interval=4).every(27) == 4


def test_a_smaller_alpha_needs_more(sweep: Make) -> None:
    def draw(number: int, epoch: int) -> Any:
        own = np.random.default_rng((number, epoch))
        return np.clip(0.5 + own.normal(0, 0.3, 300) + (0.13 if number == 1 else 0.0), 0, 1)

    counts = [len(survivors(race(racing(sweep, alpha=alpha), draw))) for alpha in (0.9, 1e-12)]
    assert counts[0] < counts[1]


def test_without_scores_nobody_is_ended(sweep: Make, play: Callable[..., Any]) -> None:
    played = play(racing(sweep))
    assert survivors(played.search) == set(range(1, 7))
    assert "no scores of the same samples" in played.of(DecisionKind.PROMOTE)[0].reason
    arrivals = play(racing(sweep), arrivals=random.Random(3))
    assert arrivals.decisions == played.decisions


@pytest.mark.parametrize("length", [1, 299])
def test_scores_of_other_samples_are_not_compared(length: int, sweep: Make) -> None:
    draw = apart(0.4)
    other = lambda number, epoch: draw(number, epoch)[: length if number == 2 else 300]  # noqa: E731
    assert survivors(race(racing(sweep), other)) == {1, 2}
