"""Turns a claimed run into a session: opens its data, builds its learner, and restores where it was."""

from dataclasses import dataclass
from importlib import import_module
from weakref import WeakValueDictionary

import torch

from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, CorruptBlobError, DataError, NotFoundError
from modelyard.domain.plan import Execution
from modelyard.domain.run import Lease, Run
from modelyard.engine.checkpoint_files import CheckpointFiles, LoadedCheckpoint
from modelyard.engine.compile_choice import CompileChoice
from modelyard.engine.data_plan import DataPlan
from modelyard.engine.environment import choose_device, code_fingerprint, environment_fingerprint
from modelyard.engine.features import SharedFeatures
from modelyard.engine.feed import Feed
from modelyard.engine.keeper import Keeper
from modelyard.engine.learner import Learner
from modelyard.engine.past import find_forks, take_over
from modelyard.engine.session import Session
from modelyard.store import Store
from modelyard.tasks.base import Saved, ScoresSamples, SplitName, Task, TaskData
from modelyard.tasks.catalogue import task_for
from modelyard.tasks.usercode import read_code

_TRAINER_MODULE = "modelyard.engine.trainer.learner"


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Where and how this process trains, and why; recorded with each attempt."""

    device: torch.device
    execution: Execution
    """How a run trains unless it is found to train faster in another way."""
    reason: str
    compiles: bool = True
    """Whether runs may be compiled where that was measured to pay, unless their config says so anyway."""
    processes: int = 1
    """Engine processes that train side by side."""


class Opener:
    """Opens sessions; runs that read the same data, or the same batches, share them while one is open."""

    def __init__(self, store: Store, placing: Placing) -> None:
        self._store = store
        self._placing = placing
        self._files = CheckpointFiles(store.blobs)
        self._compiling = CompileChoice(store, processes=placing.processes, allowed=placing.compiles)
        self._data: WeakValueDictionary[str, TaskData] = WeakValueDictionary()
        self._features = SharedFeatures(store.home)
        self._feeds: WeakValueDictionary[tuple[str, DataPlan, torch.device], Feed] = WeakValueDictionary()

    def open(self, run: Run, lease: Lease) -> Session:
        """Return a session that goes on where the run's newest good checkpoint ends.

        Raises ``UserError`` if the config or the data cannot be used, and ``NotFoundError`` if the weights to start
        from are gone.
        """
        spec = run.spec
        device = choose_device(spec, self._placing.device)
        checkpoint, loaded = self._newest_good(run, lease)
        saved = None if loaded is None else loaded.index["metadata"]
        learner = self._open_learner(spec, saved, device)
        notes = self._check_fingerprints(lease, spec, learner.data, device)
        keeper = Keeper(learner, self._files)
        if run.scored:
            _keep_scores(learner)
        session = Session(store=self._store, run=run, lease=lease, keeper=keeper, execution=self._placing.execution)
        if checkpoint is not None and loaded is not None and checkpoint.attempt == 0:
            take_over(self._store, run, session, keeper, loaded)
        elif loaded is not None:
            session.load_state(keeper.restore(loaded))
        elif run.warm_start is not None:
            source = self._files.load(self._store.checkpoints.get(run.warm_start))
            if run.forked:
                session.load_state(keeper.fork(source))
            else:
                keeper.warm_start(source, inherit_optimizer=run.inherit_optimizer)
        session.replay(self._store.controls.history(run.id))
        notes += self._features.give(
            learner, lambda key, features: self._feed(key, features, learner.plan, learner.device)
        )
        keeper.share()
        session.forks = find_forks(self._store, run, session)
        chosen = self._compiling.choose(run, learner, fresh=loaded is None and not run.forked)
        compiled = learner.compiled is not None
        execution = Execution.COMPILED if compiled else self._placing.execution
        session.began(execution, gain=chosen.gain if compiled else None)
        with self._store.write(lease) as write:
            write.lines([*notes, *chosen.lines, _where_it_starts(run, learner)])
            write.begin(
                start_step=learner.progress.step,
                checkpoint_id=None if checkpoint is None else checkpoint.id,
                total_steps=learner.total_steps,
                execution=execution.value,
                device=str(device),
                reason=chosen.reason if compiled else self._placing.reason,
                gain=chosen.gain if compiled else None,
            )
            write.progress(
                step=learner.progress.step,
                epoch=learner.progress.epoch,
                total_steps=learner.total_steps,
                total_epochs=learner.progress.epochs,
            )
            write.lead(session.forks.followers)
        return session

    def _open_learner(self, spec: RunSpec, saved: Saved, device: torch.device) -> Learner:
        if spec.trainer is not None:
            source = read_code(spec.trainer, self._store.blobs) if saved is None else saved["source"]
            # Not before the first such run: transformers' trainer takes seconds to import.
            return import_module(_TRAINER_MODULE).TrainerLearner(spec, source, device)  # type: ignore[no-any-return]
        task = task_for(spec, self._store.blobs)
        return Learner(spec, task, self._open_feed(task, spec, saved, device), saved)

    def _open_feed(self, task: Task, spec: RunSpec, saved: Saved, device: torch.device) -> Feed:
        key = task.data_key(spec, saved)
        data = self._data.get(key)
        if data is None:
            data = self._data[key] = task.open_data(spec, saved)
        return self._feed(key, data, DataPlan.of(spec, samples=data.size(SplitName.TRAIN)), device)

    def _feed(self, key: str, data: TaskData, plan: DataPlan, device: torch.device) -> Feed:
        feed = self._feeds.get((key, plan, device))
        if feed is None:
            feed = self._feeds[key, plan, device] = Feed(data, plan, device)
        return feed

    def _check_fingerprints(self, lease: Lease, spec: RunSpec, data: TaskData, device: torch.device) -> list[str]:
        """Fix the fingerprints at the first attempt and compare them later; return notes for the log."""
        now = {
            "data": data.fingerprint,
            "code": code_fingerprint(),
            "environment": environment_fingerprint(device),
        }
        if spec.user_code is not None and spec.user_code.code is not None:
            now["own code"] = spec.user_code.code.removeprefix("sha256:")
        with self._store.write(lease) as write:
            fixed = write.fingerprints(now)
        if fixed["data"] != now["data"]:
            raise DataError(
                "the data set is not the one that this run began with (its fingerprint differs); "
                "bring the old data back, or clone the run to train on the new data"
            )
        return [
            f"note: the {name} changed since this run began; the same numbers are not guaranteed"
            for name in ("code", "environment")
            if fixed[name] != now[name]
        ]

    def _newest_good(self, run: Run, lease: Lease) -> tuple[Checkpoint, LoadedCheckpoint] | tuple[None, None]:
        """Load the newest checkpoint that is not damaged; name those that are."""
        for checkpoint in self._store.checkpoints.list(run.id):
            if checkpoint.corrupt or not checkpoint.resumable:
                continue
            try:
                return checkpoint, self._files.load(checkpoint)
            except (CorruptBlobError, NotFoundError) as error:
                self._report_corrupt(lease, checkpoint, error)
        return None, None

    def _report_corrupt(self, lease: Lease, checkpoint: Checkpoint, error: Exception) -> None:
        digest = error.digest if isinstance(error, CorruptBlobError) else ""
        with self._store.write(lease) as write:
            write.corrupt(checkpoint.id, digest=digest, message=str(error))
            write.lines([f"{error}; going on from the checkpoint before it"])


def _keep_scores(learner: Learner) -> None:
    problem = learner.problem
    if not isinstance(problem, ScoresSamples):
        raise ConfigError(
            f"search.scheduler: racing compares a score of each validation sample, and task {learner.spec.task!r} has "
            "none; use asha instead"
        )
    problem.keep_scores = True


def _where_it_starts(run: Run, learner: Learner) -> str:
    step = learner.progress.step
    where = f"goes on from step {step}" if step else "starts"
    return f"attempt {run.attempt} {where} on {learner.device}"
