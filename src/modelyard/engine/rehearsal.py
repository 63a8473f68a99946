"""A moment of real training, in a store of its own that is thrown away: what it takes beside its steps.

Small models spend most of their time between steps: in evaluations, metrics, log lines, transactions, checkpoints. No
step that is measured by itself shows that.
"""

import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.plan import Execution
from modelyard.engine.executors import Executor, Sliced, Stacked
from modelyard.engine.learner import Learner
from modelyard.engine.opening import Opener, Placing
from modelyard.engine.pool import SessionPool
from modelyard.engine.residency import Residency
from modelyard.store import open_store
from modelyard.tasks.base import SplitName

SECONDS = 1.5
"""How long runs are trained, after a first turn; less if they end before."""
TURN_SECONDS = 0.25


class Rehearsed(NamedTuple):
    """What was done, and how long it took."""

    seconds: float
    steps: int
    """Optimizer steps of all runs together."""
    evaluated: int
    """Samples that were evaluated for all runs together."""


def rehearse(specs: Sequence[RunSpec], *, device: torch.device, stacked: bool) -> Rehearsed:
    """Train runs for a moment, as one model or in turns, with all that belongs to it; nothing of it is kept.

    Their seeds are made to differ, since runs with an identical past would wait for each other.
    """
    own = [spec.model_copy(update={"seed": spec.seed + number}) for number, spec in enumerate(specs)]
    executor: Executor = Stacked(TURN_SECONDS) if stacked else Sliced(TURN_SECONDS)
    # Never the user's own database, which the environment may name.
    with tempfile.TemporaryDirectory(prefix="modelyard-plan-") as folder, open_store(folder, database_url="") as store:
        experiment = store.experiments.create(SweepSpec(name="rehearsal"), own, actor="plan")
        placing = Placing(device=device, execution=Execution.SLICED, reason="", compiles=False)
        pool = SessionPool(
            store=store,
            worker_id=store.leases.register(kind="engine"),
            opener=Opener(store, placing),
            residency=Residency(device_bytes=None, host_bytes=None),
            slots=len(own),
            experiment_id=experiment.id,
        )
        pool.fill()
        return _train(pool, executor)


def _train(pool: SessionPool, executor: Executor) -> Rehearsed:
    learners = [session.learner for session in pool.sessions]
    if ready := pool.ready():
        executor.turn(pool, ready)  # the first steps are slower
    start, before = time.perf_counter(), _done(learners)
    while (ready := pool.ready()) and time.perf_counter() - start < SECONDS:
        executor.turn(pool, ready)
    seconds, after = time.perf_counter() - start, _done(learners)
    return Rehearsed(seconds, after[0] - before[0], after[1] - before[1])


def _done(learners: Sequence[Learner]) -> tuple[int, int]:
    """Return the optimizer steps and the evaluated samples of all."""
    steps = sum(learner.progress.step for learner in learners)
    evaluated = 0
    for learner in learners:
        times = -(-learner.progress.validated_epochs // learner.progress.evaluate_every)
        evaluated += times * learner.data.size(SplitName.VAL)
        evaluated += learner.progress.tested * learner.data.size(SplitName.TEST)
    return steps, evaluated
