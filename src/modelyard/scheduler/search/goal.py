"""What makes one trial better than another, as a number of which less is better."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from modelyard.domain.parts.metrics import better_mode
from modelyard.domain.search import Objective

WORST = math.inf
"""The loss of a trial that reported none."""

Metrics = Mapping[str, float | None]
"""Validation metrics by name; None for one that is not finite."""


@dataclass(frozen=True)
class Goal:
    """One metric, and whether less or more of it is better."""

    metric: str
    mode: Literal["min", "max"]

    @classmethod
    def of(cls, objective: Objective) -> Self:
        """Return the goal that a config names."""
        return cls(objective.metric, objective.mode or better_mode(objective.metric))

    def loss(self, metrics: Metrics) -> float:
        """Return the metric's value so that less is better; ``WORST`` if it is missing or not finite."""
        value = metrics.get(self.metric)
        if value is None or not math.isfinite(value):
            return WORST
        return value if self.mode == "min" else -value

    def shown(self, loss: float) -> str:
        """Say a loss as people know it: ``val_accuracy 0.93``."""
        return f"no {self.metric}" if loss == WORST else f"{self.metric} {self.value(loss)}"

    def absence(self, metrics: Metrics) -> str:
        """Say why there is no loss: ``val_mae is NaN or infinite``."""
        if self.metric in metrics:
            return f"{self.metric} is NaN or infinite"
        return f"it reported no {self.metric}" + (f", but {', '.join(metrics)}" if metrics else "")

    def value(self, loss: float) -> str:
        """Say the value alone, with four significant digits."""
        return f"{loss if self.mode == 'min' else -loss:.4g}"

    def limit(self, loss: float) -> str:
        """Say which values are at least as good: ``0.41 or less``."""
        return f"{self.value(loss)} or {'less' if self.mode == 'min' else 'more'}"
