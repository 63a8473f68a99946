"""Several runs take turns on one device. Bit-identical to solo: each has its own weights and random state."""

from modelyard.engine.executors._base import first_in_line, take_turn
from modelyard.engine.pool import SessionPool
from modelyard.engine.session import Session

CHUNK_SECONDS = 1.0
"""Length of a turn."""


class Sliced:
    """Gives each turn to the session of the highest priority that has made the least progress."""

    def __init__(self, chunk_seconds: float = CHUNK_SECONDS) -> None:
        self._chunk_seconds = chunk_seconds

    def turn(self, pool: SessionPool, ready: list[Session]) -> None:
        """Train one session for a chunk."""
        session = first_in_line(ready)[0]
        take_turn(pool, session, self._chunk_seconds)
        if session.open and session.blocked_since is None:
            pool.attempt(session, session.flush)  # so that nobody waits for its next turn to see what it said
