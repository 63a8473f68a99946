"""Ray Tune's schedulers on recorded curves, in logical time: ``_ray_replay.py JOB.json``, in Ray's own environment.

The schedulers are Ray's, and so are the trials; the controller is a stand-in that does what Ray's does with decisions
(``TuneController``: at most 200 trials wait, the scheduler chooses which one runs, a paused trial goes on from where it
was). No cluster is started.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import ray
from _logical import REDUCTION, WORKERS, Curves, Event, outcome
from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

MOST_PENDING = 200
TIME = "training_iteration"
_GOAL = {"metric": "val_loss", "mode": "min", "time_attr": TIME}
SCHEDULERS: dict[str, Callable[[int], TrialScheduler]] = {
    "none": lambda _: FIFOScheduler(),
    "asha": lambda epochs: AsyncHyperBandScheduler(**_GOAL, max_t=epochs, grace_period=1, reduction_factor=REDUCTION),
    "asha, 4 brackets": lambda epochs: AsyncHyperBandScheduler(
        **_GOAL, max_t=epochs, grace_period=1, reduction_factor=REDUCTION, brackets=4
    ),
    "hyperband": lambda epochs: HyperBandScheduler(**_GOAL, max_t=epochs, reduction_factor=REDUCTION),
    "median": lambda _: MedianStoppingRule(**_GOAL, grace_period=3, min_samples_required=5),
}


class Controller:
    """What Ray's schedulers ask their controller for."""

    def __init__(self, scheduler: TrialScheduler, order: Sequence[int]) -> None:
        self.scheduler = scheduler
        self.left = list(order)
        self.trials: list[Trial] = []
        self.live: dict[str, Trial] = {}
        self.configs: list[int] = []
        self.results: dict[str, dict[str, Any]] = {}

    def get_trials(self) -> list[Trial]:
        """Return those that are not over: schedulers look here for one that waits, and looking takes time."""
        return list(self.live.values())

    def get_live_trials(self) -> list[Trial]:
        """Return the same."""
        return list(self.live.values())

    def refill(self) -> None:
        """Add trials until as many wait as Ray lets wait."""
        if not self.left:
            return
        pending = sum(trial.status == Trial.PENDING for trial in self.live.values())
        for config in self.left[: MOST_PENDING - pending]:
            trial = Trial("replayed", trial_id=f"{len(self.trials):05d}", stub=True)
            self.trials.append(trial)
            self.live[trial.trial_id] = trial
            self.configs.append(config)
            self.scheduler.on_trial_add(self, trial)
        del self.left[: MOST_PENDING - pending]

    def stop_trial(self, trial: Trial) -> None:
        """End a trial, and tell the scheduler as Ray does."""
        if trial.status in {Trial.PENDING, Trial.PAUSED}:
            self.scheduler.on_trial_remove(self, trial)
        elif trial.status == Trial.RUNNING:
            self.scheduler.on_trial_complete(self, trial, self.results[trial.trial_id])
        trial.status = Trial.TERMINATED
        del self.live[trial.trial_id]


def replay(curves: Curves, order: Sequence[int], scheduler: TrialScheduler) -> list[Event]:
    """Train as the scheduler decides."""
    controller = Controller(scheduler, order)
    busy: list[tuple[int, int]] = []
    epochs: dict[int, int] = {}
    events: list[Event] = []
    now = 0
    while True:
        controller.refill()
        while len(busy) < WORKERS and (trial := scheduler.choose_trial_to_run(controller)) is not None:
            number = int(trial.trial_id)
            trial.status = Trial.RUNNING
            if epochs.get(number) == len(curves[controller.configs[number]]):
                controller.stop_trial(trial)
            else:
                heappush(busy, (now + 1, number))
        if not busy:
            return events
        now, number = heappop(busy)
        trial, curve = controller.trials[number], curves[controller.configs[number]]
        epoch = epochs[number] = epochs.get(number, 0) + 1
        events.append((now, controller.configs[number], epoch))
        result = {TIME: epoch, "val_loss": curve[epoch - 1]}
        decision = scheduler.on_trial_result(controller, trial, result)
        controller.results[trial.trial_id] = result
        if decision == TrialScheduler.PAUSE:
            trial.status = Trial.PAUSED
        elif decision == TrialScheduler.STOP or epoch == len(curve):
            controller.stop_trial(trial)
        else:
            heappush(busy, (now + 1, number))


def main() -> None:
    """Replay every order with every scheduler of a job; a scheduler may have fewer orders."""
    job = json.loads(Path(sys.argv[1]).read_text())
    curves = job["curves"]
    answers: dict[str, list[dict[str, Any]]] = {}
    for name, orders in job["orders"].items():
        answers[name] = []
        for seed, order in enumerate(orders):
            np.random.seed(seed)  # Ray's ASHA with brackets draws from it
            events = replay(curves, order, SCHEDULERS[name](len(curves[0])))
            answers[name].append(asdict(outcome(curves, events)))
    print(json.dumps({"outcomes": answers, "version": ray.__version__}))


if __name__ == "__main__":
    main()
