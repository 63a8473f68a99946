"""How long two runs are the same run: the optimizer steps that both take with the same bits. Pure functions.

What is measured, logged and kept has no effect on the weights, but that early stopping may end a run sooner. The
schedule and the number of epochs have theirs from the first step on at which the learning rates differ. Everything else
must be equal.
"""

from typing import Any

from modelyard.domain.config import RunSpec
from modelyard.tasks.schedules import factor

_WITHOUT_EFFECT = frozenset(
    {"epochs", "evaluate_every", "eval_batch_size", "early_stopping", "checkpoint", "log_every", "max_retries"}
)
"""Fields of ``training`` that change no step that is taken."""


def shared_steps(one: RunSpec, other: RunSpec, *, steps_per_epoch: int) -> int:
    """Return how many steps two runs have in common from their start; 0 if they differ from the first on.

    After so many steps weights, optimizer, scaler, average, random state and position are equal bit for bit, as long as
    nobody tunes one of the two, and as neither ends early. That of a run with itself is all of its steps.
    """
    if _decisive(one) != _decisive(other):
        return 0
    steps = steps_per_epoch * min(one.training.epochs, other.training.epochs)
    return _same_rates(one, other, steps, steps_per_epoch)


def fork_step(one: RunSpec, other: RunSpec, *, steps_per_epoch: int) -> int:
    """Return up to how many steps one of two runs with the same ``past_key`` can train for both; 0 if not worth it.

    Early stopping of one of them may part them sooner. What is written down after a run's last step depends on its
    being the last, so that this step is never shared. Less than an epoch is not worth a checkpoint. Runs with equal
    configs are there to be compared: each trains by itself.
    """
    epochs = min(one.training.epochs, other.training.epochs)
    steps = 0 if one == other else _same_rates(one, other, steps_per_epoch * epochs, steps_per_epoch)
    return 0 if steps < steps_per_epoch else min(steps, steps_per_epoch * epochs - 1)


def _decisive(spec: RunSpec) -> dict[str, Any]:
    """Return what decides every step but for the schedule."""
    return spec.model_dump(mode="json", exclude={"metrics": True, "schedule": True, "training": set(_WITHOUT_EFFECT)})


def _same_rates(one: RunSpec, other: RunSpec, steps: int, steps_per_epoch: int) -> int:
    """Return the first step, of so many, at which the schedules differ; ``steps`` if none does."""
    ends = [spec.training.epochs * steps_per_epoch for spec in (one, other)]
    if one.schedule == other.schedule and (ends[0] == ends[1] or one.schedule.name == "constant"):
        return steps
    differing = (
        step for step in range(steps) if factor(one.schedule, step, ends[0]) != factor(other.schedule, step, ends[1])
    )
    return next(differing, steps)
