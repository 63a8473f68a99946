"""Tells by one process's own monotonic clock which workers have gone silent."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

HEARTBEAT_SECONDS = 5.0
"""Time between two beats of a worker; an observer gives one up after several of them without a change."""
_LOOKS = 4


@dataclass
class _Silence:
    beat: int
    seconds: float = 0.0


class LeaseObserver:
    """What one process has seen of the heartbeats. Wall clocks play no part, neither here nor there.

    Time in which this process itself did not look (stopped with Ctrl-Z, a suspended machine) counts little: a worker
    that slept through the same nap gets the chance to beat again before it is given up.
    """

    def __init__(self, *, timeout_seconds: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout_seconds = timeout_seconds
        self._clock = clock
        self._looked_at = clock()
        self._silences: dict[str, _Silence] = {}

    def silent(self, beats: Mapping[str, int]) -> set[str]:
        """Take note of every worker's present beat; return those that did not change it for ``timeout_seconds``."""
        now = self._clock()
        gap = min(now - self._looked_at, self.timeout_seconds / _LOOKS)
        self._looked_at = now
        before, self._silences = self._silences, {}
        for worker_id, beat in beats.items():
            known = before.get(worker_id)
            same = known is not None and known.beat == beat
            self._silences[worker_id] = _Silence(beat, known.seconds + gap if known and same else 0.0)
        return {worker for worker, silence in self._silences.items() if silence.seconds >= self.timeout_seconds}
