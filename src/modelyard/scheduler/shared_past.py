"""How long two runs are the same run: the optimizer steps that both take with the same bits. Pure functions.

What is measured, logged and kept has no effect on the weights, with one exception: early stopping, from the evaluation
on at which it may end a run. The schedule and the number of epochs have theirs from the first step on at which the
learning rates differ. Everything else must be equal.
"""

from typing import Any

from modelyard.domain.config import RunSpec
from modelyard.tasks.schedules import factor

_MEASURED = frozenset({"evaluate_every", "eval_batch_size", "early_stopping"})
_WITHOUT_EFFECT = _MEASURED | {"epochs", "checkpoint", "log_every", "max_retries"}
"""Fields of ``training`` that change no step that is taken."""


def shared_steps(one: RunSpec, other: RunSpec, *, steps_per_epoch: int) -> int:
    """Return how many steps two runs have in common from their start; 0 if they differ from the first on.

    After so many steps weights, optimizer, scaler, average, random state and position are equal bit for bit, as long as
    nobody tunes one of the two. That of a run with itself is all of its steps; both may end earlier together.
    """
    if _decisive(one) != _decisive(other):
        return 0
    steps = steps_per_epoch * min(one.training.epochs, other.training.epochs)
    if not _stop_alike(one, other):
        steps = min(steps, *(steps_per_epoch * _safe_epochs(spec) for spec in (one, other)))
    return _same_rates(one, other, steps, steps_per_epoch)


def _decisive(spec: RunSpec) -> dict[str, Any]:
    """Return what decides every step but for the schedule."""
    return spec.model_dump(mode="json", exclude={"metrics": True, "schedule": True, "training": set(_WITHOUT_EFFECT)})


def _stop_alike(one: RunSpec, other: RunSpec) -> bool:
    """Whether early stopping ends both after the same step, if it ends them before the end of the shorter one."""
    if one.training.early_stopping is None and other.training.early_stopping is None:
        return True
    watched = [(spec.metrics, *(getattr(spec.training, name) for name in sorted(_MEASURED))) for spec in (one, other)]
    return watched[0] == watched[1]


def _safe_epochs(spec: RunSpec) -> int:
    """Return how many epochs early stopping surely lets pass: a metric without a value never improves."""
    training = spec.training
    if training.early_stopping is None:
        return training.epochs
    return min(training.epochs, training.early_stopping.patience * training.evaluate_every)


def _same_rates(one: RunSpec, other: RunSpec, steps: int, steps_per_epoch: int) -> int:
    """Return the first step, of so many, at which the schedules differ; ``steps`` if none does."""
    ends = [spec.training.epochs * steps_per_epoch for spec in (one, other)]
    if one.schedule == other.schedule and (ends[0] == ends[1] or one.schedule.name == "constant"):
        return steps
    differing = (
        step for step in range(steps) if factor(one.schedule, step, ends[0]) != factor(other.schedule, step, ends[1])
    )
    return next(differing, steps)
