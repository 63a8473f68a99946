"""One leased run in training: does the next piece of work, writes down what happened, and obeys the user."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from modelyard.domain.checkpoint import BlobRef, CheckpointDraft
from modelyard.domain.control import ControlRecord, Pause, Save, Stop, Tune, changes_of
from modelyard.domain.errors import StoreError
from modelyard.domain.events import ExecutionChanged
from modelyard.domain.plan import Execution
from modelyard.domain.run import Lease, Reason, ReasonCode, Run, RunState, asked_for
from modelyard.engine.early_stopping import Judge
from modelyard.engine.evaluation import Evaluation
from modelyard.engine.forks import Forks
from modelyard.engine.keeper import Keeper
from modelyard.engine.progress import Unit
from modelyard.engine.reasons import end_of, is_news
from modelyard.engine.recorder import Recorder
from modelyard.engine.step import StepDone
from modelyard.engine.stopwatch import Stopwatch
from modelyard.engine.tunes import TuneReplay
from modelyard.store import LeasedWrite, Store


class Session:
    """A run whose lease this process holds, from its claim until it ends, is paused, or is released."""

    def __init__(self, *, store: Store, run: Run, lease: Lease, keeper: Keeper, execution: Execution) -> None:
        self.run = run
        self.lease = lease
        self.learner = keeper.learner
        self.recorder = Recorder()
        self.priority = run.priority
        self.open = True
        """Whether this process still owns the run."""
        self.proven = False
        """Whether it has saved a checkpoint in this process: it does not take its process down at once."""
        self.blocked_since: float | None = None
        """Monotonic time since when nothing could be written."""
        self.retry_at = 0.0
        self._notice = ""
        self._uncompiled = execution
        self.began(execution)
        self._doom: Reason | None = None
        self._store = store
        self._keeper = keeper
        config = run.spec.training
        self._config = config
        self.learner.progress.until_epoch = run.until_epoch
        self.judge = Judge(config)
        self.forks = Forks()
        """The runs that go on from what this one has done."""
        self._metrics: dict[str, float] = {}
        self._applied_op = 0
        self.tunes = TuneReplay([], after=0)
        self._save_failed = False
        self._evaluation: Evaluation | None = None
        self._saved_at = time.monotonic()
        self._speed = Stopwatch()
        self._samples = 0

    def began(self, execution: Execution, *, gain: float | None = None) -> None:
        """Take how the run trains, as it was written down."""
        how = {"execution": execution.value, "stack_size": 1, "stack_gain": gain, "reason": ""}
        self._execution = self._next_execution = ExecutionChanged.model_validate(how)

    # Taking turns.

    def activate(self) -> None:
        """Begin a turn on the device, alone."""
        self.learner.activate()
        self.begin_turn()

    def deactivate(self) -> None:
        """End the turn."""
        self.end_turn()
        self.learner.deactivate()

    def begin_turn(self) -> None:
        """Start the clocks."""
        self.recorder.restart_clock()
        self._speed.start()

    def end_turn(self) -> None:
        """Stop the clocks."""
        self._speed.stop()

    def share(self) -> float:
        """Return how much of the training is done, between 0 and 1."""
        return self.learner.progress.share(self.learner.plan.steps_per_epoch)

    @property
    def trained(self) -> bool:
        """Whether only the evaluation at the end is left."""
        return self.learner.progress.trained

    def advance(self) -> None:
        """Do a piece of work (features, an optimizer step, an evaluation batch, the end), and write what is due."""
        unit = self.next_unit()
        self.work(unit)
        if unit is not Unit.DONE and self.checkpoint_due(unit):
            self.save()
        elif unit is not Unit.DONE and self.recorder.due:
            self.flush()

    def work(self, unit: Unit) -> None:
        """Do the piece of work that comes next, and write nothing down, unless it is the end of the run."""
        if unit is Unit.DONE:
            self._finish()
        elif unit is Unit.TRAIN:
            self.stepped(self.learner.train_step())
        elif unit is Unit.PREPARE:
            for line in self.learner.prepare():
                self.recorder.line(line)
        else:
            self._evaluate(unit)

    def next_unit(self) -> Unit:
        """Apply the tunes that are due at this step, and return what comes next."""
        for record in self.tunes.due(self.learner.progress.step):
            self._apply(record)
        return self.learner.next_unit()

    def stepped(self, done: StepDone) -> None:
        """Take note of an optimizer step."""
        step = self.learner.progress.step
        self._samples += done.samples
        if done.logged:
            self.recorder.points(step, done.logged)
        if done.not_compiled:
            self.execute(self._uncompiled, reason=done.not_compiled)
        if step % self._config.log_every == 0 or self.learner.progress.next_unit() is not Unit.TRAIN:
            self._measure(step, done.learning_rate)
        self.forks.stepped(step)

    def _measure(self, step: int, learning_rate: float) -> None:
        self.learner.window.flush(step)
        loss, norm = self.learner.window.take()
        values = {"train_loss": loss, "learning_rate": learning_rate} | ({} if norm is None else {"grad_norm": norm})
        speed = self._samples / max(self._speed.restart(), 1e-9)
        self.recorder.points(step, {**values, "samples_per_second": speed})
        self._samples = 0

    def _evaluate(self, unit: Unit) -> None:
        learner = self.learner
        if self._evaluation is None:
            learner.window.flush(learner.progress.step)
            self._speed.stop()
            self._evaluation = Evaluation(learner, unit, self._keeper.best_weights if unit is Unit.TEST else None)
        if not self._evaluation.advance():
            return
        done, self._evaluation = self._evaluation, None
        self._speed.start()
        values = done.record(self.recorder)
        progress = learner.progress
        if unit is Unit.TEST:
            progress.tested = True
            self._metrics.update(values)
            return
        progress.validated_epochs = progress.epoch
        self.recorder.validation(progress.epoch, progress.step, values, done.scores())
        if progress.validates_by_config:  # one for the search alone must not change what the run comes to
            self._metrics.update(values)
            if self.judge.is_best(self._metrics):
                self._keeper.remember_best(self._metrics)
            if why := self.judge.why_stop(self._metrics):
                self.end_early(why)
            self.forks.validated(self._metrics, ends=bool(why))

    def end_early(self, why: str) -> None:
        """Train no further."""
        self.learner.progress.stopped_early = True
        self.recorder.line(why)

    # Writing down.

    def execute(self, execution: Execution, *, members: int = 1, gain: float | None = None, reason: str = "") -> None:
        """Note how this run trains from now on; a compiled one stays that, in whatever turns."""
        if self.learner.compiled is not None:
            return
        before = self._next_execution
        now = ExecutionChanged(execution=execution.value, stack_size=members, stack_gain=gain, reason=reason)
        self._next_execution = now
        if reason and is_news(now, before):
            self.recorder.line(f"step {self.learner.progress.step}: {now.execution}, since {reason}")

    def flush(self) -> None:
        """Write metrics, log lines and progress in one transaction."""
        self._commit()

    @staticmethod
    def flush_together(sessions: Sequence["Session"]) -> None:
        """Flush several in one transaction. If it fails, nothing was written for any of them, and nothing is lost."""
        with ExitStack() as commits:
            writers = [commits.enter_context(session._committing()) for session in sessions]
            with sessions[0]._store.write_together() as opened:
                for session, put_down in zip(sessions, writers, strict=True):
                    put_down(opened(session.lease))

    def save(
        self, *, to: RunState | None = None, reason: Reason | None = None, op: ControlRecord | None = None
    ) -> None:
        """Save a checkpoint; in the same transaction, change the state and acknowledge an operation, if given."""
        if self._doom is not None:
            self.fail(self._doom)  # what broke in the middle of a step must not be saved as good
            return
        self._abandon_evaluation()
        self._save_failed = True
        try:
            drafts = self._keeper.drafts(self._metrics, self._state())
            self._commit(drafts=drafts, to=to, reason=reason, op=op)
        except BaseException:
            self._keeper.not_recorded()
            raise
        self._keeper.recorded()
        self.forks.due.clear()
        self._save_failed = False
        self.proven = True
        self._saved_at = time.monotonic()

    def fail(self, reason: Reason, lines: Sequence[str] = ()) -> None:
        """End the run as failed. Its last good checkpoint stays."""
        if self._doom is None:  # else it was said when this was tried first
            for line in (*lines, f"failed: {reason.message}"):
                self.recorder.line(line)
        self._commit(to=RunState.FAILED, reason=reason)

    def release(self) -> None:
        """Save, and queue the run again for another process."""
        message = "its process ended in order; the run goes on from its checkpoint when an agent takes it"
        self.save(to=RunState.QUEUED, reason=Reason(code=ReasonCode.RELEASED, message=message))

    def _finish(self) -> None:
        to, reason = end_of(self.learner.progress)
        self.save(to=to, reason=reason)

    # A full disk.

    def block(self, seconds: float, why: str) -> None:
        """Wait before the next write; nothing that was said is lost."""
        now = time.monotonic()
        if self.blocked_since is None:
            self.blocked_since = now
            self.recorder.line(f"waiting, since nothing could be written: {why}")
            self._notice = f"waiting for storage: {why}"
        self.retry_at = now + seconds

    def doom(self, reason: Reason) -> None:
        """Fail the run as soon as that can be written."""
        self._doom = reason

    def unblock(self) -> None:
        """Try again what could not be written. Raises ``StoreError`` if it still cannot."""
        notice, self._notice = self._notice, ""
        try:
            if self._doom is not None or self._save_failed:
                self.save()
            else:
                self.flush()
        except BaseException:
            self._notice = notice
            raise
        self.recorder.line("going on: it could be written")
        self.blocked_since = None

    def _commit(
        self,
        *,
        drafts: Sequence[CheckpointDraft] = (),
        to: RunState | None = None,
        reason: Reason | None = None,
        op: ControlRecord | None = None,
    ) -> None:
        committing = self._committing(drafts=drafts, to=to, reason=reason, op=op)
        with committing as put_down, self._store.write(self.lease) as write:
            put_down(write)

    @contextmanager
    def _committing(
        self,
        *,
        drafts: Sequence[CheckpointDraft] = (),
        to: RunState | None = None,
        reason: Reason | None = None,
        op: ControlRecord | None = None,
    ) -> Iterator[Callable[[LeasedWrite], None]]:
        """Yield what writes everything that was said; it is taken back if the transaction, inside, fails."""
        said, blobs = self.recorder.take(), dict[tuple[str, int], BlobRef]()
        execution, progress = self._next_execution, self.learner.progress

        def put_down(write: LeasedWrite) -> None:
            write.points(said.points)
            write.lines(said.lines)
            for (name, step), blob in blobs.items():
                write.artifact(name, blob, step=step)
            write.validations(list(said.validations.values()))
            write.progress(
                step=progress.step,
                epoch=progress.epoch,
                total_steps=self.learner.total_steps,
                total_epochs=progress.epochs,
                notice=self._notice,
            )
            if execution != self._execution:
                write.execution(execution, news=is_news(execution, self._execution))
            for draft in drafts:
                write.checkpoint(draft, keep=self._config.checkpoint.keep)
            if drafts:
                write.hand_over(self.forks.due)
            if op is not None:
                write.acknowledge(op.id, applied_step=progress.step)
            if to is not None and reason is not None:
                write.transition(to, reason)

        try:
            for key, data in said.artifacts.items():
                blobs[key] = self._store.blobs.put([data])
            yield put_down
        except BaseException:
            self.recorder.put_back(said)
            with suppress(StoreError):
                self._store.blobs.unpin(list(blobs.values()))
            raise
        self._execution = execution
        if to is not None:
            self.open = False

    # The user.

    def obey(self, record: ControlRecord) -> None:
        """Carry out a pending operation at this step boundary and acknowledge it."""
        op = record.op
        if isinstance(op, Pause):
            self.save(to=RunState.PAUSED, reason=asked_for(record), op=record)
        elif isinstance(op, Stop):
            self.save(to=RunState.STOPPED, reason=asked_for(record), op=record)
        elif isinstance(op, Save):
            self.save(op=record)
        elif isinstance(op, Tune) and (refusal := self.learner.refusal(op)):
            with self._store.write(self.lease) as write:
                write.reject(record.id, message=refusal)
        elif isinstance(op, Tune):
            self._tune(record, op)

    def _tune(self, record: ControlRecord, op: Tune) -> None:
        """Apply a new tune, after every older one that still waits for its old step: the newest always wins."""
        for older in self.tunes.rest():
            self._apply(older)
        if op.epochs is None:
            self._commit(op=record)
            self._apply(record)
        else:
            # Whether it came before or after a validation decides what is next, and its step alone does not tell.
            self._apply(record)
            self.save(op=record)

    def replay(self, records: Sequence[ControlRecord]) -> None:
        """Take the tunes that were acknowledged after the restored checkpoint; each is applied at its old step."""
        self.tunes = TuneReplay(records, after=self._applied_op)

    def _apply(self, record: ControlRecord) -> None:
        assert isinstance(record.op, Tune)
        if record.op.epochs is not None:
            self._abandon_evaluation()
            if self.learner.progress.stopped_early:
                self.judge.be_patient()
        self.learner.tune(record.op)
        self._applied_op = record.sequence
        changes = ", ".join(f"{name}={value}" for name, value in changes_of(record.op).items())
        self.recorder.line(f"step {self.learner.progress.step}: tuned {changes}")

    def _abandon_evaluation(self) -> None:
        """Give an evaluation up; it starts again from its first batch."""
        if self._evaluation is not None:
            self._evaluation.close()
            self._evaluation = None

    # State.

    def checkpoint_due(self, unit: Unit) -> bool:
        """Whether a checkpoint is to be saved after ``unit``."""
        config = self._config.checkpoint
        if self._evaluation is not None:
            return False
        if self.forks.due:
            return True
        by_steps = config.every_steps and unit is Unit.TRAIN and self.learner.progress.step % config.every_steps == 0
        return bool(by_steps) or time.monotonic() - self._saved_at >= config.every_seconds

    def _state(self) -> dict[str, Any]:
        return {"metrics": self._metrics, **self.judge.state(), "applied_op": self._applied_op}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint kept of the session."""
        self._metrics = dict(state["metrics"])
        self.judge.load(state)
        self._applied_op = state["applied_op"]
