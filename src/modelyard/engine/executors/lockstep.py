"""Members of a stack at the same step: they get the very same batches, and the short last one of an epoch together."""

from collections.abc import Sequence
from typing import NamedTuple

from modelyard.engine.session import Session

WORTH = 0.1
"""Those ahead wait while the others take at most this share of the steps that are left to them."""


class CatchUp(NamedTuple):
    """Who trains while the others wait, and for how many steps."""

    sessions: list[Session]
    steps: int


def catch_up(group: Sequence[Session], *, fully: bool = False) -> CatchUp | None:
    """Return what brings a group closer to one step for all; None where they are, or where it would take too long.

    Where the same step is too far away, the same place within an epoch has most of its use; not if ``fully``.
    """
    learners = [session.learner for session in group]
    lengths = {learner.plan.steps_per_epoch for learner in learners}
    if len(lengths) > 1 or len({session.priority for session in group}) > 1 or any(one.trained for one in group):
        return None
    steps = [learner.progress.step for learner in learners]
    places = [learner.progress.step_in_epoch for learner in learners]
    left = min(learner.total_steps - step for learner, step in zip(learners, steps, strict=True))
    (length,) = lengths
    to_the_first = [max(steps) - step for step in steps]
    to_an_epoch = [-place % length if len({*places}) > 1 and not fully else 0 for place in places]
    for distances in (to_the_first, to_an_epoch):
        most = max(distances)
        if 0 < most <= WORTH * left:
            last = [session for session, distance in zip(group, distances, strict=True) if distance == most]
            return CatchUp(last, most - max(distance for distance in [0, *distances] if distance < most))
    return None
