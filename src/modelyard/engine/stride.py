"""Optimizer steps of a whole stack between which there is nothing to look at.

For small models, what surrounds a step costs more than the step: requests, clocks, what is due, for each member. While
all are at the same place, and none has anything to log, validate, save, fork or tune, they take several at once. Each
step is the same as alone, bit for bit.
"""

from collections.abc import Sequence

from modelyard.engine.session import Session
from modelyard.engine.stack import Stack
from modelyard.engine.step import StepDone


def take_stride(stack: Stack, sessions: Sequence[Session], *, most: float) -> list[StepDone]:
    """Let all take their next steps, at least one and at most so many; return what each did.

    Empty where they had better take one step, with all that belongs to it: nothing has changed then.
    """
    return stack.take_steps(int(min(most, *map(free_steps, sessions))))


def free_steps(session: Session) -> int:
    """Return how many optimizer steps there are up to the next at which anything else may have to be done."""
    progress, config = session.learner.progress, session.run.spec.training
    step, every = progress.step, config.checkpoint.every_steps
    stops = [*session.tunes.steps, *session.forks.steps]
    return min(
        config.log_every - step % config.log_every,
        session.learner.plan.steps_per_epoch - progress.step_in_epoch,
        every - step % every if every else config.log_every,
        *(at - step for at in stops if at > step),
    )
