"""What every scheduler does: says how far trials train, and which go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modelyard.domain.search import Json
from modelyard.scheduler.search.trial import Trial


@dataclass(frozen=True)
class GoOn:
    """A trial that waits trains on."""

    trial: int
    until: int
    reason: str


@dataclass(frozen=True)
class Drop:
    """A trial that waits ends."""

    trial: int
    reason: str


@dataclass(frozen=True)
class Fork:
    """A new trial goes on from where ``parent`` is, with other values."""

    parent: int
    until: int
    reason: str
    changes: Mapping[str, Json] = field(default_factory=dict)


Verdict = GoOn | Drop | Fork


class Scheduler(Protocol):
    """Decides about trials. A function of what it was told, in order: it has no clock and no randomness of its own."""

    def begin(self, trial: int) -> int:
        """Take a new trial; return the epoch that it trains to first."""
        ...

    def report(self, trial: Trial) -> None:
        """Take a trial that ended its turn: it waits, is completed, failed, or left."""
        ...

    def leave(self, trial: int) -> None:
        """Forget a trial that waited."""
        ...

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Return what is to be done next, once, or None if nothing can be said before more is known.

        ``last``: nothing trains and nothing new begins, so that every trial that waits has to go on or to be dropped.
        """
        ...
