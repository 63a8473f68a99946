"""Watches one validation metric: is it the best so far, and has it stopped improving?"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass
class MetricWatch:
    """The best value of a metric so far, and for how many evaluations it has not improved."""

    mode: Literal["min", "max"]
    min_delta: float = 0.0
    best: float | None = None
    misses: int = 0

    def update(self, value: float) -> bool:
        """Take the next value; return whether it is the best so far. NaN never is."""
        if not math.isnan(value) and (self.best is None or self._gain(value, self.best) > self.min_delta):
            self.best, self.misses = value, 0
            return True
        self.misses += 1
        return False

    def state(self) -> dict[str, Any]:
        """Return the progress as JSON."""
        return asdict(self)

    def load(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` returned."""
        self.best, self.misses = state["best"], state["misses"]

    def _gain(self, value: float, best: float) -> float:
        return best - value if self.mode == "min" else value - best
