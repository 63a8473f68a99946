"""Plays searches against given curves: no engine, no store, no clock."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelyard.domain.config import SweepSpec
from modelyard.domain.search_log import Closed, Decision, DecisionKind, Ending, Entry, Evaluation, Opened, Trained
from modelyard.domain.validation import validate
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import Trial

Metrics = Mapping[str, float | None]
Curve = Callable[[Trial, int], Metrics]
"""A trial and an epoch to the metrics there."""

RATE = "optimizer.learning_rate"


def make_sweep(search: dict[str, Any], epochs: int = 9) -> SweepSpec:
    space = {RATE: {"log": [1e-4, 1e-1]}}
    defaults = {"method": "random", "samples": 9, "space": space}
    return validate(SweepSpec, {"run": {"training": {"epochs": epochs}}, "search": defaults | search})


def falling(trial: Trial, epoch: int) -> Metrics:
    """Curves that never cross: a smaller learning rate is always better."""
    return {"val_loss": trial.spec.optimizer.learning_rate + 1 / epoch}


@dataclass
class Played:
    """What a search did."""

    search: Search
    log: list[Entry] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def of(self, kind: DecisionKind) -> list[Decision]:
        return [decision for decision in self.decisions if decision.kind is kind]

    def feed(self, entry: Entry) -> None:
        self.log.append(entry)
        self.decisions += self.search.feed(entry)


def _play(
    sweep: SweepSpec,
    curve: Curve = falling,
    *,
    endings: Mapping[tuple[int, int], Ending] | None = None,
    arrivals: random.Random | None = None,
    close_after: int | None = None,
) -> Played:
    """Play a search to its end.

    ``endings``: (trial, until) to how that turn ends. ``arrivals``: results arrive in a random order, as if runs
    trained at random speeds, and wait until the search takes them. ``close_after`` so many results it is closed.
    """
    played = Played(Search(sweep))
    search = played.search
    played.feed(Opened())
    there: dict[tuple[int, int], Trained] = {}
    while not search.over:
        if close_after is not None and len(played.log) > close_after:
            played.feed(Closed(message="the budget is used up"))
            break
        open_jobs = [one for one in search.training if (one.number, one.until) not in there]
        if open_jobs:
            trial = arrivals.choice(open_jobs) if arrivals else open_jobs[0]
            ending = (endings or {}).get((trial.number, trial.until), Ending.REACHED)
            reached = trial.until if ending is Ending.REACHED else trial.until - 1
            evaluations = tuple(
                Evaluation(epoch=epoch, metrics=dict(curve(trial, epoch)))
                for epoch in range(trial.epoch + 1, reached + 1)
            )
            result = Trained(trial=trial.number, ending=ending, evaluations=evaluations)
            there[trial.number, trial.until] = result
        while (trial := search.expected) is not None and (trial.number, trial.until) in there:
            played.feed(there[trial.number, trial.until])
    return played


@pytest.fixture
def sweep() -> Callable[..., SweepSpec]:
    """Build a sweep of nine random learning rates and nine epochs, with other settings of its search."""
    return make_sweep


@pytest.fixture
def play() -> Callable[..., Played]:
    """Play a search to its end."""
    return _play
