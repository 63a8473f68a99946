"""Collects what a run says (metrics, log lines, artifacts) and hands it over to be written in one transaction."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.domain.base import canonical_json
from modelyard.domain.ports import Point, Validation

FLUSH_SECONDS = 1.0
"""Longest time that something waits in memory. What was lost with a process is trained, and said, again."""


@dataclass
class Said:
    """What a run said since the last write."""

    points: list[Point] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    artifacts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """By name and step."""
    validations: dict[int, Validation] = field(default_factory=dict)
    """By epoch; the newest of an epoch counts."""


@dataclass
class Recorder:
    """The buffer of one run."""

    _said: Said = field(default_factory=Said)
    _next_flush: float = field(default_factory=lambda: time.monotonic() + FLUSH_SECONDS)

    def point(self, name: str, step: int, value: float) -> None:
        """Add one metric value."""
        self._said.points.append(Point(name, step, time.time(), value))

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Add several values of one step."""
        for name, value in values.items():
            self.point(name, step, value)

    def line(self, text: str) -> None:
        """Add one log line."""
        self._said.lines.append(text)

    def artifact(self, name: str, step: int, value: Any) -> None:
        """Add a JSON artifact; it replaces an older one of the same name and step."""
        self._said.artifacts[name, step] = canonical_json(value).encode()

    def validation(self, epoch: int, step: int, metrics: Mapping[str, float], scores: bytes) -> None:
        """Add what a validation measured, and the packed scores of its samples."""
        kept = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self._said.validations[epoch] = Validation(epoch, step, kept, scores)

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() >= self._next_flush

    def restart_clock(self) -> None:
        """Wait the whole time again before the next write."""
        self._next_flush = time.monotonic() + FLUSH_SECONDS

    def take(self) -> Said:
        """Return and forget everything."""
        said, self._said = self._said, Said()
        self.restart_clock()
        return said

    def put_back(self, said: Said) -> None:
        """Undo ``take`` after a write that failed."""
        newer = self._said
        self._said = Said(
            said.points + newer.points,
            said.lines + newer.lines,
            {**said.artifacts, **newer.artifacts},
            {**said.validations, **newer.validations},
        )
