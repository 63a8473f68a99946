"""What the owner of a run writes about it: one transaction that starts with the check that it still is the owner."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select, update

from modelyard.domain.checkpoint import BlobRef, Checkpoint, CheckpointDraft
from modelyard.domain.errors import FencedError, NotFoundError
from modelyard.domain.events import AttemptStarted, CheckpointCorrupt, CheckpointSaved, EventPayload, ExecutionChanged
from modelyard.domain.ports import Point, Validation
from modelyard.domain.run import Lease, Reason, ReasonCode, RunState
from modelyard.store import (
    artifacts,
    checkpoints,
    clock,
    eventfeed,
    following,
    handing_over,
    logs,
    metrics,
    operations,
    searches,
)
from modelyard.store.database import Database
from modelyard.store.following import Follower
from modelyard.store.lifecycle import change_state
from modelyard.store.run_rows import Current, current
from modelyard.store.schema import attempts, runs

_ASKED_FOR = {RunState.PAUSING: RunState.PAUSED, RunState.STOPPING: RunState.STOPPED}


class LeasedWrite:
    """Writes about one run. Nothing is visible before the ``with`` block of ``leased_write`` ends without an error."""

    def __init__(self, connection: Connection, run: Current, lease: Lease) -> None:
        self._connection = connection
        self._run = run
        self._lease = lease
        self._actor = f"worker {lease.worker_id}"

    def begin(
        self,
        *,
        start_step: int,
        checkpoint_id: str | None,
        total_steps: int,
        execution: str,
        device: str,
        reason: str,
        gain: float | None = None,
    ) -> None:
        """Note that the run is loaded and goes on from ``start_step``: later points of older attempts are void."""
        values = {"start_step": start_step, "begun_at": clock.now()}
        self._connection.execute(update(attempts).where(attempts.c.token == self._lease.token).values(**values))
        how = {"execution": execution, "stack_size": 1, "stack_gain": gain}
        self._set(step=start_step, total_steps=total_steps, **how)
        metrics.rewind(self._connection, self._run.key)
        self.event(
            AttemptStarted(
                attempt=self._lease.attempt,
                start_step=start_step,
                checkpoint_id=checkpoint_id,
                execution=execution,
                device=device,
                reason=reason,
            )
        )

    def lead(self, followers: Sequence[Follower]) -> None:
        """Let queued runs wait for this one, to go on from its checkpoints; see ``following``."""
        following.lead(self._connection, self._run, followers)

    def execution(self, changed: ExecutionChanged, *, news: bool) -> None:
        """Note how the run trains from now on; ``news`` are told as an event."""
        self._set(execution=changed.execution, stack_size=changed.stack_size, stack_gain=changed.stack_gain)
        if news:
            self.event(changed)

    def points(self, points: Sequence[Point]) -> None:
        """Append metric values."""
        if points:
            metrics.append(self._connection, self._run.key, self._lease.attempt, points)

    def lines(self, lines: Sequence[str]) -> None:
        """Append log lines."""
        if lines:
            logs.append(self._connection, self._run.key, self._lease.attempt, lines, now=clock.now())

    def validations(self, validations: Sequence[Validation]) -> None:
        """Note what validations measured; one done again takes the place of the one before."""
        if validations:
            searches.put_validations(self._connection, self._run.key, validations)

    def event(self, payload: EventPayload) -> None:
        """Append an event about the run."""
        run = self._run
        eventfeed.append(self._connection, payload, actor=self._actor, run_id=run.id, experiment_id=run.experiment_id)

    def progress(
        self, *, step: int, epoch: int, total_steps: int, total_epochs: int | None = None, notice: str = ""
    ) -> None:
        """Note how far the run is, in optimizer steps and whole epochs, and what it waits for.

        Without ``total_epochs``, what was known of them stays.
        """
        known = {} if total_epochs is None else {"total_epochs": total_epochs}
        self._set(step=step, epoch=epoch, total_steps=total_steps, notice=notice, **known)

    def checkpoint(self, draft: CheckpointDraft, *, keep: int) -> Checkpoint:
        """Record a checkpoint whose files are in the blob store; drop those that nothing keeps any more.

        Kept are the newest ``keep`` that training can go on from, and the best.
        """
        saved = checkpoints.add(self._connection, self._run, draft, keep=keep)
        if self._is_progress(draft.step):
            self._set(crashes=0)
        self.event(
            CheckpointSaved(
                checkpoint_id=saved.id, step=saved.step, epoch=saved.epoch, size=saved.size, best=draft.best
            )
        )
        return saved

    def hand_over(self, run_ids: Collection[str]) -> None:
        """Let those of these runs that wait for this one go on from its last checkpoint, which is of this step."""
        if run_ids:
            handing_over.hand_over(self._connection, self._run, run_ids, actor=self._actor)

    def corrupt(self, checkpoint_id: str, *, digest: str, message: str) -> None:
        """Mark a checkpoint as corrupt, so that nobody uses it again."""
        checkpoints.mark_corrupt(self._connection, self._run, checkpoint_id)
        self.event(CheckpointCorrupt(checkpoint_id=checkpoint_id, digest=digest, message=message))

    def acknowledge(self, op_id: int, *, applied_step: int) -> None:
        """Note that a control operation took effect."""
        operations.acknowledge(self._connection, self._run, op_id, applied_step=applied_step, actor=self._actor)

    def reject(self, op_id: int, *, message: str) -> None:
        """Note that a control operation cannot take effect."""
        operations.reject(self._connection, self._run, op_id, message=message, actor=self._actor)

    def transition(self, to: RunState, reason: Reason) -> None:
        """Change the run's state; leaving the active ones gives the lease back. Raises ``ConflictError``.

        A run that would wait for its search, but that somebody asked to pause or stop meanwhile, does that instead.
        """
        if reason.code is ReasonCode.RUNG and self._run.state in _ASKED_FOR:
            to = _ASKED_FOR[self._run.state]
            reason = operations.reason_of(self._connection, self._run, to)
        self._run = change_state(self._connection, self._run, to, reason, actor=self._actor)

    def fingerprints(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Store fingerprints that are not set yet; return all that are stored now."""
        stored = dict(values) | self._load("fingerprints")
        self._set(fingerprints=json.dumps(stored))
        return stored

    def artifact(self, name: str, blob: BlobRef, *, step: int) -> None:
        """Record a named file of the run, as of a step."""
        artifacts.put(self._connection, self._run.key, name, blob, step=step)

    def _is_progress(self, step: int) -> bool:
        """Whether ``step`` is beyond what the attempt started from: only then is it no crash loop."""
        query = select(attempts.c.start_step).where(attempts.c.token == self._lease.token)
        start = self._connection.execute(query).scalar()
        return start is not None and step > start

    def _load(self, column: str) -> dict[str, Any]:
        query = select(runs.c[column]).where(runs.c.key == self._run.key)
        loaded: dict[str, Any] = json.loads(self._connection.execute(query).scalar_one())
        return loaded

    def _set(self, **values: Any) -> None:
        values["updated_at"] = clock.now()
        self._connection.execute(update(runs).where(runs.c.key == self._run.key).values(**values))
        self._run = replace(self._run, **{name: values[name] for name in values.keys() & Current.__slots__})


@contextmanager
def leased_writes(database: Database) -> Iterator[Callable[[Lease], LeasedWrite]]:
    """Open one write transaction on the runs of several leases, each opened by the function that this yields.

    That raises ``FencedError`` for a lease that is outdated.
    """
    with database.write() as connection:
        yield lambda lease: LeasedWrite(connection, _owned(connection, lease), lease)


@contextmanager
def leased_write(database: Database, lease: Lease) -> Iterator[LeasedWrite]:
    """Open a write transaction on the lease's run. Raises ``FencedError`` if the lease is outdated."""
    with leased_writes(database) as write:
        yield write(lease)


def _owned(connection: Connection, lease: Lease) -> Current:
    try:
        run = current(connection, lease.run_id)
    except NotFoundError as error:
        raise FencedError(f"run {lease.run_id} was deleted") from error
    if (run.token, run.worker_id) != (lease.token, lease.worker_id):
        raise FencedError(
            f"run {run.name} (now {run.state}) no longer belongs to attempt {lease.attempt} of worker {lease.worker_id}"
        )
    return run
