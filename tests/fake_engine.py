"""An engine without torch, for tests of everything above it: it claims runs and "trains" an epoch at each poll."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from modelyard.agent.presence import agent_kind
from modelyard.agent.supervisor import SupervisorStatus
from modelyard.domain.checkpoint import BlobRef, CheckpointDraft
from modelyard.domain.control import Pause, Save, Stop, Tune
from modelyard.domain.plan import Execution, Plan
from modelyard.domain.ports import Point, Validation
from modelyard.domain.run import ACTIVE, Lease, Reason, ReasonCode, Run, RunState, asked_for
from modelyard.domain.sample_scores import pack_scores
from modelyard.scheduler.planner import Wishes, make_plan
from modelyard.store import LeasedWrite, LeaseObserver, Store

STEPS_PER_EPOCH = 10


def _confusion(epoch: int) -> bytes:
    """Return a matrix that tells epochs apart."""
    return json.dumps({"classes": ["cat", "dog"], "counts": [[3 + epoch, 1], [0, 4]]}).encode()


class FakeSupervisor:
    """Stands in for ``modelyard.agent.supervisor.Supervisor``; a run whose seed is 13 fails in its second epoch.

    A run pauses at its rung, as the engine has it.
    """

    made: list["FakeSupervisor"]
    on_poll: Callable[["FakeSupervisor", int], None] | None = None

    def __init__(
        self,
        store: Store,
        *,
        experiment_id: str | None = None,
        execution: Execution | None = None,
        processes: int | None = None,
        slots: int | None = None,
        warm: object = None,
    ) -> None:
        del warm
        self.store = store
        self.experiment_id = experiment_id
        self.wishes = Wishes(execution=execution, processes=processes, slots=slots)
        self.plan = Plan(groups=())
        self.leases: dict[str, Lease] = {}
        self.epochs: dict[str, int] = {}
        self.polls = 0
        self.stopped = self.killed = False
        type(self).made.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        self.agent = self.store.leases.register(kind=agent_kind(self.experiment_id))
        self.worker = self.store.leases.register()
        runs = self.store.runs.list(experiment_id=self.experiment_id, states={RunState.QUEUED})
        self.plan = make_plan([run.spec for run in runs], cores=2, devices=(), wishes=self.wishes)

    def poll(self) -> SupervisorStatus:
        self.polls += 1
        if self.on_poll is not None:
            type(self).on_poll(self, self.polls)  # type: ignore[misc]
        self.store.leases.reap(LeaseObserver())
        for run, lease in self.store.leases.claim(self.worker, limit=100, experiment_id=self.experiment_id):
            self._begin(run, lease)
        for run_id in list(self.leases):
            self._train(self.store.runs.get(run_id))
        left = self.store.runs.list(experiment_id=self.experiment_id, states={RunState.QUEUED, *ACTIVE})
        return SupervisorStatus(processes=(1,) if left else (), idle=not left)

    def stop(self, *, timeout: float = 30.0) -> None:
        if not self.stopped and not self.killed:
            for run_id, lease in self.leases.items():
                with self.store.write(lease) as write:
                    write.transition(RunState.QUEUED, Reason(code=ReasonCode.RELEASED, message="gave it back"))
                self.epochs.pop(run_id)
            self._leave()
        self.stopped = True

    def kill(self) -> None:
        self.killed = True
        self._leave()

    def _leave(self) -> None:
        self.leases = {}
        self.store.leases.unregister(self.worker)
        self.store.leases.unregister(self.agent)

    def _begin(self, run: Run, lease: Lease) -> None:
        checkpoints = [c for c in self.store.checkpoints.list(run.id) if c.resumable]
        start = checkpoints[0] if checkpoints else None
        if start is None and run.forked and run.warm_start is not None:
            start = self.store.checkpoints.get(run.warm_start)
        self.leases[run.id] = lease
        self.epochs[run.id] = json.loads(run.spec_json)["training"]["epochs"]
        with self.store.write(lease) as write:
            write.begin(
                start_step=start.step if start else 0,
                checkpoint_id=start.id if start else None,
                total_steps=self.epochs[run.id] * STEPS_PER_EPOCH,
                execution="sliced",
                device="cpu",
                reason="because",
            )
            write.progress(
                step=start.step if start else 0,
                epoch=start.epoch if start else 0,
                total_steps=self.epochs[run.id] * STEPS_PER_EPOCH,
            )
            write.fingerprints({"data": "d" * 64})
            write.lines([f"attempt {lease.attempt} of {run.name} started"])

    def _train(self, run: Run) -> None:
        lease = self.leases[run.id]
        matrix = self.store.blobs.put([_confusion(run.epoch)])
        blob = self.store.blobs.put([f"weights of {run.id} at {run.step}".encode()])
        with self.store.write(lease) as write:
            for record in self.store.controls.pending([run.id]):
                if isinstance(record.op, Pause | Stop):
                    self._save(write, run, blob)
                    write.acknowledge(record.id, applied_step=run.step)
                    to = RunState.PAUSED if isinstance(record.op, Pause) else RunState.STOPPED
                    write.transition(to, asked_for(record))
                    del self.leases[run.id]
                    return
                if isinstance(record.op, Save):
                    self._save(write, run, blob)
                if isinstance(record.op, Tune) and record.op.epochs is not None:
                    self.epochs[run.id] = record.op.epochs
                write.acknowledge(record.id, applied_step=run.step)
            write.artifact("val/confusion_matrix", matrix, step=run.step)
            self._epoch(write, run, blob)

    def _epoch(self, write: LeasedWrite, run: Run, blob: BlobRef) -> None:
        spec = json.loads(run.spec_json)
        total = self.epochs[run.id] * STEPS_PER_EPOCH
        if run.step >= total:
            self._save(write, run, blob)
            write.transition(RunState.COMPLETED, Reason(code=ReasonCode.FINISHED, message="all epochs are done"))
            del self.leases[run.id]
            return
        if spec["seed"] == 13 and run.epoch == 1:
            write.transition(RunState.FAILED, Reason(code=ReasonCode.NON_FINITE_LOSS, message="the loss was NaN"))
            del self.leases[run.id]
            return
        rate = spec["optimizer"]["learning_rate"]
        steps = range(run.step + 1, run.step + STEPS_PER_EPOCH + 1)
        now = time.time()
        write.points([Point("train_loss", step, now, 1 / (1 + step * rate)) for step in steps])
        write.points(
            [
                Point("val_loss", steps[-1], now, 1 / (1 + steps[-1] * rate)),
                Point("val_accuracy", steps[-1], now, min(1.0, steps[-1] * rate)),
                Point("samples_per_second", steps[-1], now, 1000.0),
            ]
        )
        write.lines([f"epoch {run.epoch + 1} done"])
        epoch = run.epoch + 1
        metrics = {"val_loss": 1 / (1 + steps[-1] * rate), "val_accuracy": min(1.0, steps[-1] * rate)}
        scores = pack_scores([min(1.0, 0.1 + 9 * rate)] * 300) if run.scored else b""
        write.validations([Validation(epoch, steps[-1], metrics, scores)])
        write.progress(step=steps[-1], epoch=epoch, total_steps=total, total_epochs=self.epochs[run.id])
        if run.until_epoch is not None and epoch >= run.until_epoch:
            self._save(write, replace(run, step=steps[-1], epoch=epoch), blob)
            message = f"waits at epoch {epoch} for the search"
            write.transition(RunState.PAUSED, Reason(code=ReasonCode.RUNG, message=message))
            del self.leases[run.id]

    def _save(self, write: LeasedWrite, run: Run, blob: BlobRef) -> None:
        draft = CheckpointDraft(
            step=run.step,
            epoch=run.epoch,
            files={"model.safetensors": blob, "state.safetensors": blob},
            metrics={"val_loss": 1.0},
            best=True,
        )
        write.checkpoint(draft, keep=2)
