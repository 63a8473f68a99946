"""The one way in which a run's state changes: compare-and-set, with its event and all that follows from it."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, update

from modelyard.domain.errors import ConflictError
from modelyard.domain.events import RunStateChanged
from modelyard.domain.run import ACTIVE, FINAL, Reason, RunState, check_transition
from modelyard.store import clock, eventfeed, following, metrics, operations
from modelyard.store.run_rows import Current
from modelyard.store.schema import attempts, runs


def change_state(
    connection: Connection, run: Current, to: RunState, reason: Reason, *, actor: str, **values: Any
) -> Current:
    """Change the state of ``run`` inside a write transaction; ``values`` are more columns to set with it.

    Leaving an active state drops the lease; entering a final one seals the metrics; pending requests that the new state
    fulfils or rules out are settled; who waits for a run that no longer trains waits no more. Raises ``ConflictError``.
    """
    check_transition(run.name, run.state, to)
    now = clock.now()
    values |= {
        "state": to,
        "reason_code": reason.code,
        "reason_message": reason.message,
        "updated_at": now,
        "notice": "",
        "follows": None,
        "fork_step": None,
    }
    values["ended_at"] = now if to in FINAL else None
    if to not in ACTIVE:
        values |= {"worker_id": None, "token": None}
    matching = (runs.c.key == run.key) & (runs.c.state == run.state) & (runs.c.attempt == run.attempt)
    if connection.execute(update(runs).where(matching).values(**values)).rowcount != 1:
        raise ConflictError(f"run {run.name} was changed by somebody else at the same time; try again")
    if run.state is RunState.RUNNING:
        following.release(connection, run)
    if run.state in ACTIVE and to not in ACTIVE:
        connection.execute(update(attempts).where(attempts.c.token == run.token).values(ended_at=now))
    changed = replace(run, **{name: values[name] for name in values.keys() & Current.__slots__})
    payload = RunStateChanged(before=run.state, after=to, reason=reason, attempt=changed.attempt, step=changed.step)
    eventfeed.append(connection, payload, actor=actor, run_id=run.id, experiment_id=run.experiment_id)
    operations.settle(connection, changed, actor=actor)
    if to in FINAL:
        metrics.seal(connection, run.key)
    return changed
