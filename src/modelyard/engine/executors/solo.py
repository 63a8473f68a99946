"""One run at a time, start to end: the reference that every other executor is held to."""

from modelyard.engine.executors._base import take_turn
from modelyard.engine.pool import SessionPool
from modelyard.engine.session import Session


class Solo:
    """Trains the first session until it ends."""

    def turn(self, pool: SessionPool, ready: list[Session]) -> None:
        """Train one session until it ends or the pool is stopping."""
        take_turn(pool, ready[0])
