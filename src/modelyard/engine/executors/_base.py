"""What every executor does: give one session its turn on the device."""

import math
import time
from typing import Protocol

from modelyard.engine.pool import SessionPool
from modelyard.engine.session import Session


class Executor(Protocol):
    """A way of training the sessions of a pool."""

    def turn(self, pool: SessionPool, ready: list[Session]) -> None:
        """Train some of the ``ready`` sessions (at least one) for a while."""
        ...


def take_turn(pool: SessionPool, session: Session, seconds: float = math.inf) -> None:
    """Train ``session`` until it ends, ``seconds`` are over, or the pool is stopping; look for requests every step."""
    pool.attempt(session, lambda: pool.residency.bring(session.learner))
    if not session.open or session.blocked_since is not None:
        return
    end = time.monotonic() + seconds
    session.activate()
    pool.active = session
    try:
        while not pool.stopping.is_set():
            pool.obey()
            if not session.open:
                return
            pool.attempt(session, session.advance)
            if not session.open or session.blocked_since is not None or time.monotonic() >= end:
                return
    finally:
        pool.active = None
        session.deactivate()
