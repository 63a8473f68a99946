"""Which trials go on: one file for each way to decide it."""

from modelyard.domain.config import SweepSpec
from modelyard.domain.schedulers import Asha, EveryRun, Hyperband, Median, Pasha, PopulationBased, Racing
from modelyard.scheduler.search.goal import Goal
from modelyard.scheduler.search.schedulers._base import Drop, Fork, GoOn, Scheduler, Verdict
from modelyard.scheduler.search.schedulers.asha import AshaScheduler
from modelyard.scheduler.search.schedulers.every_run import EveryRunScheduler
from modelyard.scheduler.search.schedulers.hyperband import HyperbandScheduler
from modelyard.scheduler.search.schedulers.median import MedianScheduler
from modelyard.scheduler.search.schedulers.pasha import PashaScheduler
from modelyard.scheduler.search.schedulers.population import PopulationScheduler
from modelyard.scheduler.search.schedulers.racing import RacingScheduler

__all__ = ["Drop", "Fork", "GoOn", "Scheduler", "Verdict", "make_scheduler"]


def make_scheduler(sweep: SweepSpec) -> Scheduler:
    """Return the scheduler that a sweep asks for."""
    goal = Goal.of(sweep.search.goals[0])
    epochs = sweep.run.training.epochs
    scheduler: Scheduler
    match sweep.search.scheduler:
        case EveryRun():
            scheduler = EveryRunScheduler()
        case Asha() as config:
            scheduler = AshaScheduler(config, goal, epochs=epochs)
        case Pasha() as config:
            scheduler = PashaScheduler(config, goal, epochs=epochs)
        case Hyperband() as config:
            scheduler = HyperbandScheduler(config, goal, epochs=epochs)
        case Median() as config:
            scheduler = MedianScheduler(config, goal)
        case PopulationBased() as config:
            scheduler = PopulationScheduler(config, goal, sweep)
        case Racing() as config:
            scheduler = RacingScheduler(config, goal, epochs=epochs, seed=sweep.search.seed)
    return scheduler
