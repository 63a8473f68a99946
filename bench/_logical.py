"""Logical time, the same for all sides: workers that train one epoch in a unit of time, and what a search came to.

Needs nothing but Python, since Ray's side runs in an environment of its own.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Protocol

WORKERS = 8
REDUCTION = 3
SHARES = (0.05, 0.1, 0.2, 0.4)
"""Of all epochs: the budgets at which the regret is taken on the way."""

Curves = Sequence[Sequence[float]]
"""Validation loss by configuration and epoch."""
Event = tuple[int, int, int]
"""An epoch that was trained: the time at its end, the configuration, the epoch."""


@dataclass(frozen=True)
class Outcome:
    """What one search came to."""

    regret: float
    """By how much the last loss of the run that it ends with is above the best last loss of all."""
    epochs: int
    time: int
    on_the_way: tuple[float, ...]
    """For each of ``SHARES``: the same for the run with the best newest loss when so many epochs were trained."""


def outcome(curves: Curves, events: Iterable[Event]) -> Outcome:
    """Judge a search by what it trained. It ends with the best of the runs that came to their last epoch."""
    events = sorted(events)
    best = min(curve[-1] for curve in curves)
    ended = [config for _, config, epoch in events if epoch == len(curves[config])]
    regret = min((curves[config][-1] for config in ended), default=max(curve[-1] for curve in curves)) - best
    budgets = [max(1, round(share * sum(map(len, curves)))) for share in SHARES]
    return Outcome(
        regret=regret,
        epochs=len(events),
        time=events[-1][0],
        on_the_way=tuple(
            _leader(curves, events[:budget]) - best if budget < len(events) else regret for budget in budgets
        ),
    )


def _leader(curves: Curves, events: Sequence[Event]) -> float:
    """Return the last loss of the run whose newest loss is the best."""
    newest = {config: curves[config][epoch - 1] for _, config, epoch in events}
    return curves[min(newest, key=newest.__getitem__)][-1]


def shuffled(count: int, seed: int) -> list[int]:
    """Return the configurations in the random order of a seed."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


class Pruner(Protocol):
    """A side that says after each epoch whether a run goes on."""

    def begin(self, config: int) -> Any:
        """Return the side's own trial."""
        ...

    def goes_on(self, trial: Any, epoch: int, loss: float) -> bool:
        """Take a loss before the last epoch."""
        ...

    def ends(self, trial: Any, loss: float) -> None:
        """Take the loss of the last epoch."""
        ...


def prune(curves: Curves, order: Sequence[int], pruner: Pruner) -> list[Event]:
    """Train in the given order; each run goes on at once, or is left for good."""
    left, busy, events = list(order), [], []
    now = 0
    trials: list[tuple[Any, int]] = []
    while left or busy:
        while left and len(busy) < WORKERS:
            config = left.pop(0)
            heappush(busy, (now + 1, len(trials), 1))
            trials.append((pruner.begin(config), config))
        now, number, epoch = heappop(busy)
        trial, config = trials[number]
        events.append((now, config, epoch))
        loss = curves[config][epoch - 1]
        if epoch == len(curves[config]):
            pruner.ends(trial, loss)
        elif pruner.goes_on(trial, epoch, loss):
            heappush(busy, (now + 1, number, epoch + 1))
    return events
