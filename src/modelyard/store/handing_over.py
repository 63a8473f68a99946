"""What a run that waited for another one gets from it at the fork: checkpoints, metrics, evaluations, artifacts.

All of it is a copy of the follower's own, as of attempt 0, so that its history is complete, whatever becomes of the
leader. Blobs are shared by reference.
"""

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from modelyard.domain.events import PastShared
from modelyard.store import artifacts, blob_refs, checkpoints, clock, eventfeed, logs, metrics
from modelyard.store.run_rows import Current, current_where
from modelyard.store.schema import artifacts as artifact_rows
from modelyard.store.schema import evaluations, runs, series

NOT_SHARED = frozenset({"samples_per_second"})
"""Metrics of the process that trained, not of the run."""


def hand_over(connection: Connection, leader: Current, run_ids: Collection[str], *, actor: str) -> None:
    """Give what ``leader`` did, up to the checkpoint that it saved just now, to those of these runs that follow it."""
    step = leader.step
    due = runs.c.id.in_(run_ids) & (runs.c.follows == leader.id)
    for follower in current_where(connection, due):
        _clear(connection, follower)
        checkpoints.copy(connection, leader.key, follower, step=step)
        artifacts.copy(connection, leader.key, follower.key, step=step)
        metrics.copy(connection, leader.key, follower.key, leave_out=NOT_SHARED)
        _copy_evaluations(connection, leader.key, follower.key, step=step)
        fingerprints = connection.execute(select(runs.c.fingerprints).where(runs.c.key == leader.key)).scalar_one()
        values = {
            "step": step,
            "epoch": leader.epoch,
            "fingerprints": fingerprints,
            "follows": None,
            "fork_step": None,
            "notice": "",
            "shared_steps": step,
            "shared_with": leader.name,
            "updated_at": clock.now(),
        }
        connection.execute(update(runs).where(runs.c.key == follower.key).values(**values))
        line = f"first {step:,} steps shared with {leader.name}: taken over with all that was measured"
        logs.append(connection, follower.key, 0, [line], now=clock.now())
        payload = PastShared(run_id=leader.id, name=leader.name, steps=step)
        eventfeed.append(connection, payload, actor=actor, run_id=follower.id, experiment_id=follower.experiment_id)


def _clear(connection: Connection, run: Current) -> None:
    """Remove what the run took over before, from a leader with which it shares less."""
    checkpoints.drop_all(connection, run.key)
    old = artifact_rows.c.run_key == run.key
    keys = connection.execute(delete(artifact_rows).where(old).returning(artifact_rows.c.key)).scalars().all()
    blob_refs.drop(connection, artifacts.OWNER_KIND, keys)
    connection.execute(delete(series).where(series.c.run_key == run.key))
    connection.execute(delete(evaluations).where(evaluations.c.run_key == run.key))


def _copy_evaluations(connection: Connection, source: int, target: int, *, step: int) -> None:
    # An attempt that was lost may have left others, of later steps.
    done = (evaluations.c.run_key == source) & (evaluations.c.step <= step)
    rows = connection.execute(select(evaluations).where(done)).mappings().all()
    if rows:
        connection.execute(insert(evaluations), [{**row, "run_key": target} for row in rows])
