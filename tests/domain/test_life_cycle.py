"""The life cycle of a run: every change that is allowed, and only those."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConflictError
from modelyard.domain.run import (
    ACTIVE,
    FINAL,
    TRANSITIONS,
    WHEN_LEASE_LOST,
    Reason,
    ReasonCode,
    Run,
    RunState,
    check_transition,
)
from modelyard.domain.structure import structure_hash

S = RunState
ALLOWED = {
    (S.QUEUED, S.RUNNING),  # claimed
    (S.QUEUED, S.PAUSED),  # asked for before it started
    (S.QUEUED, S.STOPPED),
    (S.QUEUED, S.FAILED),  # retries used up
    (S.RUNNING, S.COMPLETED),
    (S.RUNNING, S.PAUSING),
    (S.RUNNING, S.PAUSED),  # at a rung of its search
    (S.RUNNING, S.STOPPING),
    (S.RUNNING, S.FAILED),
    (S.RUNNING, S.QUEUED),  # lease lost
    (S.PAUSING, S.PAUSED),
    (S.PAUSING, S.STOPPING),
    (S.PAUSING, S.COMPLETED),  # it finished first
    (S.PAUSING, S.FAILED),
    (S.STOPPING, S.STOPPED),
    (S.STOPPING, S.COMPLETED),
    (S.STOPPING, S.FAILED),
    (S.PAUSED, S.QUEUED),  # resumed
    (S.PAUSED, S.STOPPED),
    (S.STOPPED, S.QUEUED),
    (S.FAILED, S.QUEUED),
    (S.COMPLETED, S.QUEUED),  # its epochs were raised
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(RunState, RunState)))
def test_a_change_is_allowed_or_refused_as_the_table_says(before: RunState, after: RunState) -> None:
    if (before, after) in ALLOWED:
        check_transition("r1", before, after)
    else:
        with pytest.raises(ConflictError, match=f"run r1 is {before}, so it cannot become {after}"):
            check_transition("r1", before, after)


def test_every_state_is_in_the_table_and_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(RunState)
    reached = {S.QUEUED}
    while more := {after for before in reached for after in TRANSITIONS[before]} - reached:
        reached |= more
    assert reached == set(RunState)
    assert all(TRANSITIONS.values())


def test_a_run_whose_process_died_goes_somewhere_without_an_owner() -> None:
    assert set(WHEN_LEASE_LOST) == ACTIVE
    for before, after in WHEN_LEASE_LOST.items():
        assert after in TRANSITIONS[before]
        assert after not in ACTIVE


def test_only_a_resume_leaves_a_final_state() -> None:
    assert all(TRANSITIONS[state] == {S.QUEUED} for state in FINAL)


def test_a_run_parses_its_own_snapshot_of_the_config() -> None:
    spec = RunSpec(seed=5)
    now = datetime.now(UTC)
    run = Run(
        id="r1",
        name="r1",
        project="default",
        experiment_id="e1",
        experiment="e",
        state=S.QUEUED,
        reason=Reason(code=ReasonCode.CREATED, message="created\nby ada"),
        notice="",
        spec_json=canonical_json(spec.model_dump(mode="json")),
        spec_hash=spec.hash,
        structure=structure_hash(spec),
        execution="",
        stack_size=1,
        stack_gain=None,
        parent_id=None,
        warm_start=None,
        inherit_optimizer=False,
        forked=False,
        trial=None,
        until_epoch=None,
        scored=False,
        past="",
        shared_steps=0,
        shared_with="",
        priority=0,
        attempt=0,
        step=0,
        total_steps=None,
        epoch=0,
        total_epochs=None,
        worker_id=None,
        summary={},
        fingerprints={},
        created_at=now,
        updated_at=now,
        started_at=None,
        ended_at=None,
    )
    assert run.spec == spec
    assert run.why == "created by ada"
    assert replace(run, notice="waiting for storage").why == "waiting for storage"
