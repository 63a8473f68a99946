"""What every executor does: give one session its turn on the device."""

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from modelyard.engine.pool import SessionPool
from modelyard.engine.progress import Unit
from modelyard.engine.session import Session


class Executor(Protocol):
    """A way of training the sessions of a pool."""

    def turn(self, pool: SessionPool, ready: list[Session]) -> None:
        """Train some of the ``ready`` sessions (at least one) for a while."""
        ...


ENOUGH_STEPS = 10
ENOUGH_SECONDS = 0.1
"""Steps are measured until there are so many and they took so long: the first hundred of small ones are slower."""
FEW_STEPS = 4
MANY_SECONDS = 5.0
"""When steps take long, so many are enough after so long."""


class StepTimes:
    """How long the optimizer steps of a trial, or of one of its ``parts``, take; nothing else is counted."""

    def __init__(self, parts: int = 1) -> None:
        self._seconds: list[float] = []
        self._total = 0.0
        self._enough_seconds = ENOUGH_SECONDS / parts

    def add(self, seconds: float, count: int = 1) -> None:
        """Take the time of one step, or of each of several."""
        self._seconds += [seconds] * count
        self._total += seconds * count

    @property
    def full(self) -> bool:
        """Whether enough was measured."""
        count = len(self._seconds)
        enough = count >= ENOUGH_STEPS and self._total >= self._enough_seconds
        return enough or (count >= FEW_STEPS and self._total >= MANY_SECONDS)

    @property
    def settled(self) -> list[float]:
        """The times of the second half: until then memory is allocated and caches fill."""
        return self._seconds[len(self._seconds) // 2 :]


def first_in_line(ready: Sequence[Session]) -> list[Session]:
    """Return the sessions in the order of their turns: by priority, then by who has made the least progress.

    One that only has its last evaluation left goes first: it frees its place. Of those that read the same data the last
    one goes before another that would drop what it still needs.
    """
    line = sorted(ready, key=lambda one: (-one.priority, not one.trained, one.share()))
    behind = left_behind(line[0], line)
    if behind:
        last = min(behind, key=_place_number)
        line.remove(last)
        line.insert(0, last)
    return line


def left_behind(session: Session, others: Sequence[Session]) -> list[Session]:
    """Return those that would have to read data once more if ``session`` went on, and may ask it to wait."""
    place = session.learner.place
    if place is None:
        return []
    # Not a list: it is asked before every step, and most steps need no new data.
    places = (one.learner.place for one in others if one.blocked_since is None)
    left = place.leaves_behind(other for other in places if other is not None)
    return [one for one in others if one.learner.place in left and one.priority >= session.priority] if left else []


def _place_number(session: Session) -> int:
    place = session.learner.place
    return 0 if place is None else place.number


def until(session: Session, steps: int | None) -> int | None:
    """Return the step that ``session`` reaches after so many more; None for as many as there is time for."""
    return None if steps is None else session.learner.progress.step + steps


def has_reached(session: Session, step: int | None, times: StepTimes | None) -> bool:
    """Whether a turn that ends at ``step`` is over, or one without that in which enough ``times`` were measured."""
    if step is not None:
        return session.learner.progress.step >= step
    return times is not None and times.full


def take_turn(
    pool: SessionPool,
    session: Session,
    seconds: float = math.inf,
    *,
    times: StepTimes | None = None,
    steps: int | None = None,
) -> None:
    """Train ``session`` until it ends, ``seconds`` are over, or the pool is stopping; look for requests every step.

    The turn ends early where others would lose data that they need. With ``times`` it ends once these are full, with
    ``steps`` after so many.
    """
    pool.attempt(session, lambda: pool.residency.bring(session.learner))
    if not session.open or session.blocked_since is not None:
        return
    last = until(session, steps)
    end = time.monotonic() + (seconds if times is None and last is None else math.inf)
    session.activate()
    pool.active = session
    try:
        while not pool.stopping.is_set():
            pool.obey()
            if not session.open:
                return
            pool.attempt(session, session.advance if times is None else partial(_timed, session, times))
            if not session.open or session.blocked_since is not None:
                return
            if has_reached(session, last, times) or time.monotonic() >= end:
                return
            if times is None and left_behind(session, pool.sessions):
                return
    finally:
        pool.active = None
        session.deactivate()


def _timed(session: Session, times: StepTimes) -> None:
    trains = session.next_unit() is Unit.TRAIN
    start = time.perf_counter()
    session.advance()
    if trains:
        times.add(time.perf_counter() - start)
