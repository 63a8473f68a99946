"""Which trials go on: one file for each way to decide it."""

from modelyard.domain.config import SweepSpec
from modelyard.domain.schedulers import Asha, EveryRun
from modelyard.scheduler.search.goal import Goal
from modelyard.scheduler.search.schedulers._base import Drop, Fork, GoOn, Scheduler, Verdict
from modelyard.scheduler.search.schedulers.asha import AshaScheduler
from modelyard.scheduler.search.schedulers.every_run import EveryRunScheduler

__all__ = ["Drop", "Fork", "GoOn", "Scheduler", "Verdict", "make_scheduler"]


def make_scheduler(sweep: SweepSpec) -> Scheduler:
    """Return the scheduler that a sweep asks for."""
    goal = Goal.of(sweep.search.goals[0])
    epochs = sweep.run.training.epochs
    match sweep.search.scheduler:
        case EveryRun():
            return EveryRunScheduler()
        case Asha() as config:
            return AshaScheduler(config, goal, epochs=epochs)
        case _:
            raise AssertionError
