"""Which trials go on: one file for each way to decide it."""

from modelyard.domain.config import SweepSpec
from modelyard.domain.schedulers import Asha, EveryRun, Hyperband, Median, Pasha, PopulationBased
from modelyard.scheduler.search.goal import Goal
from modelyard.scheduler.search.schedulers._base import Drop, Fork, GoOn, Scheduler, Verdict
from modelyard.scheduler.search.schedulers.asha import AshaScheduler
from modelyard.scheduler.search.schedulers.every_run import EveryRunScheduler
from modelyard.scheduler.search.schedulers.hyperband import HyperbandScheduler
from modelyard.scheduler.search.schedulers.median import MedianScheduler
from modelyard.scheduler.search.schedulers.pasha import PashaScheduler
from modelyard.scheduler.search.schedulers.population import PopulationScheduler

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
        case Pasha() as config:
            return PashaScheduler(config, goal, epochs=epochs)
        case Hyperband() as config:
            return HyperbandScheduler(config, goal, epochs=epochs)
        case Median() as config:
            return MedianScheduler(config, goal)
        case PopulationBased() as config:
            return PopulationScheduler(config, goal, sweep)
