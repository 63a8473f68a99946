"""What each request does in each state: at once, later through an engine, or refused with the way out."""

import pytest

from modelyard.domain.control import OpStatus, Pause, Resume, Save, SetPriority, Stop, Tune
from modelyard.domain.errors import ConflictError, NotFoundError
from modelyard.domain.run import ACTIVE, Reason, ReasonCode, RunState

S = RunState
DONE = Reason(code=ReasonCode.FINISHED, message="done")
ASKED = Reason(code=ReasonCode.USER_REQUEST, message="asked")
PENDING, ACKNOWLEDGED, REJECTED = OpStatus.PENDING, OpStatus.ACKNOWLEDGED, OpStatus.REJECTED

# state -> what the request leads to: (new state, status of the operation), or None where it is refused
EXPECTED = {
    Pause(): {S.RUNNING: (S.PAUSING, PENDING), S.QUEUED: (S.PAUSED, ACKNOWLEDGED)},
    Stop(): {
        S.RUNNING: (S.STOPPING, PENDING),
        S.PAUSING: (S.STOPPING, PENDING),
        S.QUEUED: (S.STOPPED, ACKNOWLEDGED),
        S.PAUSED: (S.STOPPED, ACKNOWLEDGED),
    },
    Resume(): dict.fromkeys((S.PAUSED, S.STOPPED, S.FAILED), (S.QUEUED, ACKNOWLEDGED)),
    Save(): {S.RUNNING: (S.RUNNING, PENDING)},
    Tune(epochs=9): {state: (state, PENDING) for state in S},
    Tune(learning_rate=0.1): {state: (state, PENDING) for state in S if state is not S.COMPLETED},
    SetPriority(priority=5): {state: (state, ACKNOWLEDGED) for state in S},
}


def bring_to(store, claim, state):
    """Create a run and take it to ``state`` the way it would get there."""
    run, lease = claim(store)
    if state in {S.PAUSING, S.STOPPING}:
        store.runs.request(run.id, Pause() if state is S.PAUSING else Stop(), actor="ada")
    elif state in {S.STOPPED, S.PAUSED}:
        store.runs.request(run.id, Pause() if state is S.PAUSED else Stop(), actor="ada")
        with store.write(lease) as write:
            write.transition(state, ASKED)
    elif state is not S.RUNNING:
        with store.write(lease) as write:
            write.transition(state, DONE)
    assert store.runs.get(run.id).state is state
    return run


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("op", list(EXPECTED), ids=lambda op: f"{op.kind}-{'epochs' if 'epochs=9' in repr(op) else ''}")
def test_each_request_in_each_state(store, claim, op, state):
    run = bring_to(store, claim, state)
    before = store.events.last_seq()
    bell = store.doorbell.value()
    expected = EXPECTED[op].get(state)
    if expected is None:
        with pytest.raises(ConflictError, match=run.name):
            store.runs.request(run.id, op, actor="ada")
        assert store.events.last_seq() == before, "a refused request leaves no trace"
        assert store.runs.get(run.id).state is state
        return
    record = store.runs.request(run.id, op, actor="ada")
    after = store.runs.get(run.id)
    assert (after.state, record.status) == expected
    assert store.controls.get(record.id) == record
    assert (record in store.controls.pending([run.id])) is (record.status is PENDING)
    assert store.doorbell.value() != bell
    types = [event.payload.type for event in store.events.read(after=before)]
    assert types[0] == "control.requested"
    assert ("run.state_changed" in types) is (after.state is not state)
    assert ("control.acknowledged" in types) is (record.status is ACKNOWLEDGED)
    assert (after.worker_id is not None) is (after.state in ACTIVE)


def test_stop_takes_the_place_of_a_pending_pause(store, claim):
    run, lease = claim(store)
    pause = store.runs.request(run.id, Pause(), actor="ada")
    stop = store.runs.request(run.id, Stop(), actor="ada")
    superseded = store.controls.get(pause.id)
    assert (superseded.status, superseded.message) == (REJECTED, "the user asked to stop it instead")
    assert store.controls.pending([run.id]) == [stop]
    with store.write(lease) as write:
        write.progress(step=12, epoch=1, total_steps=100)
        write.transition(S.STOPPED, ASKED)
        write.acknowledge(stop.id, applied_step=12)
    assert store.controls.get(stop.id).applied_step == 12


def test_the_end_of_a_run_closes_what_nobody_will_carry_out_any_more(store, claim):
    run, lease = claim(store)
    save = store.runs.request(run.id, Save(), actor="ada")
    rate = store.runs.request(run.id, Tune(learning_rate=0.5), actor="ada")
    epochs = store.runs.request(run.id, Tune(epochs=50), actor="ada")
    pause = store.runs.request(run.id, Pause(), actor="ada")
    with store.write(lease) as write:
        write.transition(S.COMPLETED, DONE)
    statuses = {record.id: record.status for record in store.controls.history(run.id)}
    assert statuses == {save.id: REJECTED, rate.id: REJECTED, epochs.id: PENDING, pause.id: REJECTED}
    assert all(record.message for record in store.controls.history(run.id) if record.status is REJECTED)
    assert store.runs.request(run.id, Resume(), actor="ada").status is ACKNOWLEDGED


def test_a_completed_run_goes_on_only_with_more_epochs(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.progress(step=100, epoch=5, total_steps=100)
        write.transition(S.COMPLETED, DONE)
    with pytest.raises(ConflictError, match=f"modelyard tune {run.name} --epochs N"):
        store.runs.request(run.id, Resume(), actor="ada")
    with pytest.raises(ConflictError, match="--epochs 6"):
        store.runs.request(run.id, Tune(epochs=5), actor="ada")
    store.runs.request(run.id, Tune(epochs=6), actor="ada")
    store.runs.request(run.id, Resume(), actor="ada")
    resumed = store.runs.get(run.id)
    assert (resumed.state, resumed.ended_at) == (S.QUEUED, None)


def test_priority_decides_who_is_claimed_first(store, sweep):
    sweep(store, 3)
    last = store.runs.get("sweep-3")
    store.runs.request(last.id, SetPriority(priority=5), actor="ada")
    claimed = store.leases.claim(store.leases.register(), limit=2)
    assert [run.name for run, _ in claimed] == ["sweep-3", "sweep-1"]


def test_an_operation_is_closed_only_once(store, claim):
    run, lease = claim(store)
    tune, save = (store.runs.request(run.id, op, actor="ada") for op in (Tune(epochs=9), Save()))
    with store.write(lease) as write:
        write.acknowledge(tune.id, applied_step=3)
        write.reject(save.id, message="no")
    with store.write(lease) as write:
        write.acknowledge(tune.id, applied_step=4)
        write.reject(tune.id, message="too late")
    assert store.controls.get(tune.id).applied_step == 3
    assert store.controls.get(tune.id).status is ACKNOWLEDGED
    with pytest.raises(ConflictError, match="rejected before: no"), store.write(lease) as write:
        write.acknowledge(save.id, applied_step=4)


def test_an_operation_of_another_run_cannot_be_closed(store, sweep, claim):
    sweep(store, 2)
    (other, _), (_, lease) = claim(store), claim(store)
    save = store.runs.request(other.id, Save(), actor="ada")
    with pytest.raises(NotFoundError), store.write(lease) as write:
        write.acknowledge(save.id, applied_step=1)
    assert store.controls.get(save.id).status is PENDING


def test_pending_and_history_are_oldest_first_and_by_run(store, sweep, claim):
    sweep(store, 2)
    (a, _), (b, _) = claim(store), claim(store)
    ops = [store.runs.request(run.id, Tune(epochs=n), actor="ada") for n, run in ((7, a), (8, b), (9, a))]
    assert store.controls.pending([a.id, b.id]) == ops
    assert store.controls.pending([b.id]) == [ops[1]]
    assert store.controls.pending([]) == []
    assert store.controls.history(a.id) == [ops[0], ops[2]]
    for missing in (lambda: store.controls.get(99), lambda: store.controls.history("nobody")):
        with pytest.raises(NotFoundError):
            missing()


def test_a_request_to_a_run_that_is_gone(store):
    with pytest.raises(NotFoundError, match="may have been deleted"):
        store.runs.request("0123456789abcdef", Pause(), actor="ada")


def test_fewer_epochs_than_are_done_are_refused(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.progress(step=9, epoch=4, total_steps=20)
    with pytest.raises(ConflictError, match=r"has done 4 epochs already, so it cannot have 4; .*modelyard stop"):
        store.runs.request(run.id, Tune(epochs=4), actor="ada")
