"""Changes the hyperparameters of a trainer that is in training."""

from typing import Any

from modelyard.domain.control import Tune


def tune_trainer(trainer: Any, change: Tune) -> None:
    """Set the base learning rate, whose schedule goes on multiplying it, and the weight decay of what has any."""
    groups = trainer.optimizer.param_groups
    if change.learning_rate is not None:
        _scale(trainer.lr_scheduler, groups, change.learning_rate / _base(trainer.lr_scheduler, groups))
    if change.weight_decay is not None:
        decayed = [group for group in groups if group.get("weight_decay")] or groups[:1]
        for group in decayed:
            group["weight_decay"] = change.weight_decay


def _base(scheduler: Any, groups: list[dict[str, Any]]) -> float:
    bases = getattr(scheduler, "base_lrs", None)
    return float(bases[0] if bases else groups[0]["lr"])


def _scale(scheduler: Any, groups: list[dict[str, Any]], factor: float) -> None:
    """Multiply every learning rate: those of the groups, and those that the schedule starts from."""
    for group in groups:
        group["lr"] *= factor
        if "initial_lr" in group:
            group["initial_lr"] *= factor
    if hasattr(scheduler, "base_lrs"):
        scheduler.base_lrs = [base * factor for base in scheduler.base_lrs]
