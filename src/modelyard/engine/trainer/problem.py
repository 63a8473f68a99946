"""What a session asks a trainer's run: its metrics, and what its checkpoints keep besides weights."""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from modelyard.domain.config import RunSpec
from modelyard.tasks.custom.problem import check_watched

_NOT_METRICS = ("_runtime", "_per_second", "_timing")
_KNOWN_LOGS = frozenset({"loss", "learning_rate", "grad_norm", "epoch", "step", "total_flos", "train_loss"})
"""What a trainer logs and the session logs by itself."""


class TrainerProblem:
    """The metrics of the trainer's newest evaluation."""

    def __init__(self, spec: RunSpec, model: nn.Module, *, source: str) -> None:
        self.model = model
        self.metadata: Mapping[str, Any] = {"source": source}
        self._spec = spec
        self.evaluated: dict[str, float] = {}
        """Metrics by the trainer's names (``eval_loss``)."""

    @property
    def loss(self) -> float:
        """The validation loss; NaN if the trainer computes none."""
        return self.evaluated.get("eval_loss", math.nan)

    def finish_evaluation(self) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """Return the metrics by name, but for the loss; there are no artifacts. Raises ``ConfigError``."""
        metrics = metrics_of(self.evaluated)
        check_watched(self._spec, [*(["loss"] if "eval_loss" in self.evaluated else []), *metrics])
        return metrics, {}


def metrics_of(evaluated: Mapping[str, float]) -> dict[str, float]:
    """Return metrics without ``eval_``, without the loss and without what says how long it took."""
    left_out = {"eval_loss", "epoch"}
    return {
        name.removeprefix("eval_"): value
        for name, value in evaluated.items()
        if name not in left_out and not name.endswith(_NOT_METRICS)
    }


def other_logs(logged: Mapping[str, float]) -> dict[str, float]:
    """Return what the user's own code logged."""
    return {
        name: value
        for name, value in logged.items()
        if name not in _KNOWN_LOGS and not name.startswith("eval_") and not name.endswith(_NOT_METRICS)
    }
