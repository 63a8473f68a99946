"""How far a whole stack can go before there is anything to look at.

For small models, what surrounds a step costs more than the step: requests, clocks, what is due, for each member. While
all are at the same place, and none has anything to log, validate, save, fork or tune, they take several at once
(``Stack.take_steps``). Each step is the same as alone, bit for bit.
"""

from modelyard.engine.learner import Learner
from modelyard.engine.session import Session


def free_steps(session: Session) -> int:
    """Return how many optimizer steps there are up to the next at which anything else may have to be done."""
    step, every = session.learner.progress.step, session.run.spec.training.checkpoint.every_steps
    stops = [at - step for at in (*session.tunes.steps, *session.forks.steps) if at > step]
    return min([unlogged_steps(session.learner), *stops, *([every - step % every] if every else [])])


def unlogged_steps(learner: Learner) -> int:
    """Return how many optimizer steps there are up to the next that is logged, or to the end of the epoch."""
    progress, every = learner.progress, learner.spec.training.log_every
    return min(every - progress.step % every, learner.plan.steps_per_epoch - progress.step_in_epoch)
