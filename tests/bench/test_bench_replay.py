"""What a replayed search came to, in logical time."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def logical(bench_module: Callable[[str], ModuleType]) -> ModuleType:
    return bench_module("_logical")


CURVES = [[3.0, 1.0], [2.0, 1.5], [4.0, 0.5]]
"""The third one begins as the worst, and ends as the best."""


def test_a_search_ends_with_the_best_run_that_came_to_its_end(logical: ModuleType) -> None:
    events = [(1, 0, 1), (1, 1, 1), (1, 2, 1), (2, 0, 2), (2, 1, 2)]
    found = logical.outcome(CURVES, events)
    assert (found.regret, found.epochs, found.time) == (0.5, 5, 2)


def test_a_search_that_brings_no_run_to_its_end_has_the_worst_regret(logical: ModuleType) -> None:
    assert logical.outcome(CURVES, [(1, 0, 1)]).regret == 1.0


def test_regret_on_the_way_is_that_of_the_run_with_the_best_newest_loss(
    logical: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logical, "SHARES", (2 / 6, 4 / 6, 1.0))
    events = [(2, 0, 2), (1, 0, 1), (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2)]
    # After two epochs the second run leads with 2.0 and ends at 1.5; after four the first one, which ends at 1.0.
    assert logical.outcome(CURVES, events).on_the_way == (1.0, 0.5, 0.0)


def test_what_is_pruned_frees_its_worker(logical: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoSecondEpoch:
        ended: list[int] = []

        def begin(self, config: int) -> int:
            return config

        def goes_on(self, trial: int, epoch: int, loss: float) -> bool:
            assert loss == CURVES[trial][epoch - 1]
            return trial != 0

        def ends(self, trial: int, loss: float) -> None:
            assert loss == CURVES[trial][-1]
            self.ended.append(trial)

    monkeypatch.setattr(logical, "WORKERS", 1)
    pruner = NoSecondEpoch()
    assert logical.prune(CURVES, [0, 2, 1], pruner) == [(1, 0, 1), (2, 2, 1), (3, 2, 2), (4, 1, 1), (5, 1, 2)]
    assert pruner.ended == [2, 1]
