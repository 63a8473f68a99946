"""Queued runs that wait for another one, which trains the steps that they have in common: the rows of that.

Whoever opens a run makes it the leader of what may follow (``lead``, in the transaction that begins the attempt). The
leader hands over when it saves a checkpoint at the fork (``handing_over``). If it leaves training before that, for
whatever reason, its followers are free in the same transaction (``release``): nobody ever waits for a run that does
not train.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, select, update

from modelyard.domain.control import OpStatus
from modelyard.domain.run import RunState
from modelyard.store import clock
from modelyard.store.run_rows import Current
from modelyard.store.schema import attempts, control_ops, runs

LEFT_TO_THE_IDLE_SECONDS = 0.5
"""For so long a process that trains does not take a run that comes from a fork; idle ones look more often than that."""
_FREE: dict[str, Any] = {"follows": None, "fork_step": None, "notice": ""}


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A run that is to go on from what its leader will have done."""

    run_id: str
    fork_step: int
    """After so many steps at the latest."""
    total_steps: int
    """Of the follower."""


def may_follow(past: str, spec_hash: str, experiment_key: ColumnElement[int] | int) -> ColumnElement[bool]:
    """Which runs never began by themselves, and may follow a run with this ``past`` and another config."""
    asked = exists().where(control_ops.c.run_key == runs.c.key, control_ops.c.status == OpStatus.PENDING)
    return (
        (runs.c.experiment_key == experiment_key)
        & (runs.c.past == past)
        & (runs.c.spec_hash != spec_hash)
        & (runs.c.state == RunState.QUEUED)
        & (runs.c.attempt == 0)
        & runs.c.follows.is_(None)
        & ~asked
    )


def lead(connection: Connection, leader: Current, followers: Sequence[Follower]) -> None:
    """Let runs wait for ``leader``: those that still may, if it trains, and as its config says."""
    if leader.state is not RunState.RUNNING or _was_tuned(connection, leader):
        return
    row = connection.execute(select(runs.c.past, runs.c.spec_hash).where(runs.c.key == leader.key)).one()
    free = may_follow(row.past, row.spec_hash, leader.experiment_key)
    for follower in followers:
        values = {
            "follows": leader.id,
            "fork_step": follower.fork_step,
            "total_steps": follower.total_steps,
            "notice": f"waits for {leader.name}, which trains the first steps of both, up to {follower.fork_step:,}",
            "updated_at": clock.now(),
        }
        connection.execute(update(runs).where(runs.c.id == follower.run_id, free).values(**values))


def _was_tuned(connection: Connection, run: Current) -> bool:
    """Whether somebody changed a run's hyperparameters, or asked for it."""
    tuned = (control_ops.c.run_key == run.key) & (control_ops.c.kind == "tune")
    query = select(control_ops.c.id).where(tuned, control_ops.c.status != OpStatus.REJECTED).limit(1)
    return connection.execute(query).first() is not None


def release(connection: Connection, leader: Current) -> None:
    """Let every run that waits for ``leader`` begin by itself."""
    following = (runs.c.experiment_key == leader.experiment_key) & (runs.c.follows == leader.id)
    connection.execute(update(runs).where(following).values(**_FREE))


def leave(connection: Connection, run: Current) -> None:
    """Let a run begin by itself if it waits for another one."""
    waiting = (runs.c.key == run.key) & runs.c.follows.is_not(None)
    connection.execute(update(runs).where(waiting).values(**_FREE))


def overtake(connection: Connection, run: Current) -> None:
    """Let a run begin by itself if it waits for one of lower priority."""
    leader = runs.alias("leader")
    slow = exists().where(leader.c.id == runs.c.follows, leader.c.priority < runs.c.priority)
    connection.execute(update(runs).where(runs.c.key == run.key, slow).values(**_FREE))


def waits() -> ColumnElement[bool]:
    """Which queued runs wait for another one, or for one that is being opened and may become their leader."""
    other = runs.alias("other")
    # Not correlated with the queue, which may be long: few runs are being opened at a time.
    opened = select(other.c.past).where(
        other.c.state == RunState.RUNNING,
        other.c.past != "",
        attempts.c.token == other.c.token,
        attempts.c.start_step.is_(None),
    )
    return runs.c.follows.is_not(None) | ((runs.c.attempt == 0) & runs.c.past.in_(opened))


def has_slow_leader() -> ColumnElement[bool]:
    """Which queued runs would be at the fork sooner from where they are, in a process of their own, than their leader.

    That is if the leader shares its process with others, and has most of the way before it.
    """
    leader, beside = runs.alias("leader"), runs.alias("beside")
    together = select(func.count()).where(beside.c.worker_id == leader.c.worker_id).scalar_subquery()
    slower = (runs.c.fork_step - leader.c.step) * together > runs.c.fork_step - runs.c.step
    return exists().where(leader.c.id == runs.c.follows, together > 1, slower)


def is_fresh() -> ColumnElement[bool]:
    """Which runs come from a fork just now: an idle process, if there is one, has the time to take them first.

    It is no more than a preference, since clocks of other machines may be wrong.
    """
    now = clock.now()
    moment = runs.c.updated_at.between(now - timedelta(seconds=LEFT_TO_THE_IDLE_SECONDS), now)
    return (runs.c.attempt == 0) & (runs.c.shared_steps > 0) & moment
