"""A run whose whole machine went down has done nothing wrong; a run is taken for what ended its process."""

import os

import pytest
from sqlalchemy import update

from modelyard.domain.run import ReasonCode, RunState
from modelyard.store import LeaseObserver
from modelyard.store.schema import workers

S = RunState


def kill(store, worker_id):
    """Make a worker look dead: the same pid, but started at another time."""
    with store.database.write() as connection:
        connection.execute(update(workers).where(workers.c.id == worker_id).values(process_start="long ago"))


@pytest.mark.parametrize("order", ["together", "agent first"])
def test_when_the_agent_was_killed_too_it_is_not_held_against_the_run(store, sweep, order):
    sweep(store)
    (run,) = store.runs.list()
    for _ in range(run.spec.training.max_retries + 2):
        agent = store.leases.register(kind="agent")
        worker = store.leases.register(agent_id=agent)
        assert store.leases.claim(worker, limit=1)
        kill(store, agent)
        if order == "agent first":
            store.leases.reap(LeaseObserver())
        kill(store, worker)
        (lost,) = store.leases.reap(LeaseObserver())
        assert lost.state is S.QUEUED
    agent = store.leases.register(kind="agent")
    for _ in range(run.spec.training.max_retries + 1):
        worker = store.leases.register(agent_id=agent)
        taken = store.leases.claim(worker, limit=1) or store.leases.claim(worker, limit=1, isolated=True)
        assert taken
        kill(store, worker)
        (lost,) = store.leases.reap(LeaseObserver())
    assert (lost.state, lost.reason.code) == (S.FAILED, ReasonCode.RETRIES_EXHAUSTED)
    assert store.logs.read(run.id)[-1].text == f"failed: {lost.reason.message}"


def test_a_child_that_nobody_has_waited_for_is_left_to_its_parent(store, claim):
    _, lease = claim(store)
    kill(store, lease.worker_id)  # gone from the table of processes, though the parent cannot read its end yet
    assert store.leases.reap(LeaseObserver(), uncollected=[os.getpid()]) == []
    store.leases.note_crash(lease.worker_id, "SIGKILL")
    (taken,) = store.leases.reap(LeaseObserver())
    assert "SIGKILL" in taken.reason.message
