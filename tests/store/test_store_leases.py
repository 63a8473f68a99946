"""Leases: one owner only, runs of dead processes come back, and no wall clock decides anything."""

import subprocess
import sys
import threading
import time

import pytest

from modelyard.domain.control import OpStatus, Pause, Stop
from modelyard.domain.errors import ConflictError, FencedError, NotFoundError
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.store import LeaseObserver, open_store, schema
from modelyard.store.processes import current_process, is_alive

S = RunState
DONE = Reason(code=ReasonCode.FINISHED, message="done")


class Ticks:
    """A monotonic clock that only moves when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def set_process(store, worker_id, **values):
    """Make a worker look as if it were another process."""
    workers = schema.workers
    with store.database.write() as connection:
        connection.execute(workers.update().where(workers.c.id == worker_id).values(**values))


def kill(store, worker_id):
    """Make a worker look dead: the same pid, but started at another time."""
    set_process(store, worker_id, process_start="long ago")


def test_claim_gives_runs_with_new_tokens_and_attempts(store, sweep):
    sweep(store, 3)
    worker = store.leases.register()
    claimed = store.leases.claim(worker, limit=2)
    assert [run.name for run, _ in claimed] == ["sweep-1", "sweep-2"]
    for run, lease in claimed:
        assert (run.state, run.worker_id, run.attempt, run.reason.code) == (S.RUNNING, worker, 1, ReasonCode.CLAIMED)
        assert (lease.run_id, lease.attempt, lease.worker_id) == (run.id, 1, worker)
        assert run.started_at is not None
    assert claimed[0][1].token < claimed[1][1].token
    assert len(store.leases.claim(worker, limit=5)) == 1
    assert store.leases.claim(worker, limit=5) == []


def test_claim_can_be_limited_to_an_experiment(store, sweep):
    sweep(store, 1, name="a")
    wanted = sweep(store, 1, name="b")
    worker = store.leases.register()
    assert [run.name for run, _ in store.leases.claim(worker, limit=9, experiment_id=wanted.id)] == ["b-1"]


def test_only_registered_workers_claim(store, sweep):
    sweep(store)
    worker = store.leases.register()
    store.leases.unregister(worker)
    with pytest.raises(FencedError):
        store.leases.claim(worker, limit=1)
    with pytest.raises(FencedError):
        store.leases.heartbeat(worker)
    assert store.runs.list()[0].state is S.QUEUED


def test_many_threads_claiming_at_once_share_the_runs_without_overlap(store, sweep):
    sweep(store, 20)
    claimed, start = [], threading.Barrier(4)

    def work():
        worker = store.leases.register()
        start.wait()
        while found := store.leases.claim(worker, limit=2):
            claimed.extend(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 20
    assert len({run.id for run, _ in claimed}) == 20
    assert len({lease.token for _, lease in claimed}) == 20


CLAIMER = """
import sys
from modelyard.store import open_store
with open_store(sys.argv[1], database_url=sys.argv[2] or None) as store:
    worker = store.leases.register()
    print("ready", flush=True)
    sys.stdin.readline()
    while found := store.leases.claim(worker, limit=1):
        print(found[0][0].id, found[0][1].token, flush=True)
    sys.stdin.readline()
"""


def test_two_processes_claiming_at_once_never_own_the_same_run(store, home, database_url, sweep):
    sweep(store, 30)
    command = [sys.executable, "-c", CLAIMER, str(home), database_url or ""]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate("end\n", timeout=60)[0].split() for process in processes]
    ids = [run_id for output in outputs for run_id in output[::2]]
    assert len(ids) == 30
    assert len(set(ids)) == 30


def test_an_outdated_lease_can_write_nothing(store, claim):
    run, old = claim(store)
    kill(store, old.worker_id)
    store.leases.reap(LeaseObserver())
    _, new = claim(store)
    assert (new.run_id, new.attempt) == (run.id, 2)
    assert new.token > old.token
    with pytest.raises(FencedError, match="no longer belongs"), store.write(old) as write:
        write.lines(["from the past"])
    with store.write(new) as write:
        write.lines(["mine"])
    assert [line.text for line in store.logs.read(run.id)] == ["mine"]


def test_a_lease_ends_with_the_run_or_its_active_state(store, sweep, claim):
    sweep(store, 2)
    (paused, first), (gone, second) = claim(store), claim(store)
    with store.write(first) as write:
        write.transition(S.QUEUED, DONE)
        write.lines(["the same transaction still counts"])
    with store.write(second) as write:
        write.transition(S.FAILED, DONE)
    store.runs.delete(gone.id, actor="ada")
    for lease in (first, second):
        with pytest.raises(FencedError), store.write(lease):
            pass
    assert store.runs.get(paused.id).worker_id is None


def test_a_dead_process_is_noticed_at_once_and_its_run_queued_again(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.progress(step=40, epoch=2, total_steps=100)
    assert store.leases.reap(LeaseObserver()) == []
    kill(store, lease.worker_id)
    store.leases.note_crash(lease.worker_id, "signal 9")
    (taken,) = store.leases.reap(LeaseObserver())
    assert (taken.id, taken.state, taken.worker_id, taken.step) == (run.id, S.QUEUED, None, 0)
    assert taken.reason.code is ReasonCode.LEASE_LOST
    assert "signal 9" in taken.reason.message
    assert store.leases.workers() == []
    with pytest.raises(FencedError):
        store.leases.heartbeat(lease.worker_id)


def test_reap_settles_what_was_asked_for(store, sweep, claim):
    sweep(store, 2)
    (a, lease_a), (b, lease_b) = claim(store), claim(store)
    with store.write(lease_a) as write:
        write.progress(step=17, epoch=0, total_steps=100)
    pause = store.runs.request(a.id, Pause(), actor="ada")
    stop = store.runs.request(b.id, Stop(), actor="ada")
    for lease in (lease_a, lease_b):
        kill(store, lease.worker_id)
    states = {run.id: run.state for run in store.leases.reap(LeaseObserver())}
    assert states == {a.id: S.PAUSED, b.id: S.STOPPED}
    assert store.controls.get(pause.id).status is OpStatus.ACKNOWLEDGED
    assert store.controls.get(pause.id).applied_step == 0  # nothing was saved
    assert store.controls.get(stop.id).status is OpStatus.ACKNOWLEDGED


def crash(store, claim, *, isolated=False):
    worker = store.leases.register()
    found = store.leases.claim(worker, limit=1, isolated=isolated)
    if found:
        kill(store, worker)
        store.leases.reap(LeaseObserver())
        return True
    store.leases.unregister(worker)
    return False


def test_retries_run_out_and_repeat_offenders_train_alone(store, sweep, claim):
    sweep(store)
    run = store.runs.list()[0]
    assert run.spec.training.max_retries == 3
    assert [crash(store, claim), crash(store, claim), crash(store, claim)] == [True, True, False]
    assert crash(store, claim, isolated=True)
    assert store.runs.get(run.id).state is S.QUEUED
    assert crash(store, claim, isolated=True)
    failed = store.runs.get(run.id)
    assert (failed.state, failed.reason.code) == (S.FAILED, ReasonCode.RETRIES_EXHAUSTED)
    assert "4 times" in failed.reason.message


def test_progress_forgives_crashes_and_standing_still_does_not(store, sweep, claim, draft):
    sweep(store)
    crash(store, claim)
    crash(store, claim)
    for step, still_isolated in ((5, True), (6, False)):
        saved = draft(store, step)
        worker = store.leases.register()
        (_, lease), *_ = store.leases.claim(worker, limit=1, isolated=True)
        with store.write(lease) as write:
            write.begin(
                start_step=5, checkpoint_id=None, total_steps=9, execution="solo", device="cpu", reason="because"
            )
            write.checkpoint(saved, keep=1)
            write.transition(S.QUEUED, DONE)
        found = store.leases.claim(store.leases.register(), limit=1, isolated=True)
        assert bool(found) is still_isolated
        for _, held in found:
            with store.write(held) as write:
                write.transition(S.QUEUED, DONE)


def test_a_silent_worker_elsewhere_is_given_up_by_the_observers_own_clock(store, claim):
    run, lease = claim(store)
    set_process(store, lease.worker_id, host="another machine")
    ticks = Ticks()
    observer = LeaseObserver(timeout_seconds=30, clock=ticks)
    for _ in range(20):
        ticks.now += 5
        store.leases.heartbeat(lease.worker_id)
        assert store.leases.reap(observer) == []
    silent_for = 0
    while not (taken := store.leases.reap(observer)):
        ticks.now += 5
        silent_for += 5
    assert taken[0].id == run.id
    assert 30 <= silent_for <= 35
    assert "stopped responding" in taken[0].reason.message


def test_an_observer_that_slept_itself_gives_up_nobody(store, claim):
    _, lease = claim(store)
    ticks = Ticks()
    observer = LeaseObserver(timeout_seconds=30, clock=ticks)
    store.leases.reap(observer)
    ticks.now += 3600
    assert store.leases.reap(observer) == []
    store.leases.heartbeat(lease.worker_id)
    ticks.now += 5
    assert store.leases.reap(observer) == []


def test_a_wall_clock_that_jumps_changes_nothing(store, claim, monkeypatch):
    real, offset = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + offset)
    run, lease = claim(store)
    observer = LeaseObserver(timeout_seconds=30)
    for jump in (86_400.0 * 365, -86_400.0 * 365 * 3, 0.0):
        offset = jump
        assert store.leases.reap(observer) == []
        store.leases.heartbeat(lease.worker_id)
        with store.write(lease) as write:
            write.lines([f"clock moved by {jump}"])
        assert [worker.alive for worker in store.leases.workers()] == [True]
    with store.write(lease) as write:
        write.transition(S.COMPLETED, DONE)
    feed = store.events.read(run_id=run.id)
    assert [event.seq for event in feed] == sorted(event.seq for event in feed)
    assert feed[-1].payload.after is S.COMPLETED
    assert len(store.logs.read(run.id)) == 3


def test_a_worker_that_beat_after_it_looked_silent_is_spared(store, claim, monkeypatch):
    _, lease = claim(store)
    set_process(store, lease.worker_id, host="another machine")
    observer = LeaseObserver()

    def silent_but_then_it_beats(beats):
        store.leases.heartbeat(lease.worker_id)
        return set(beats)

    monkeypatch.setattr(observer, "silent", silent_but_then_it_beats)
    assert store.leases.reap(observer) == []
    assert len(store.leases.workers()) == 1


def test_two_that_reap_the_same_worker_do_it_once(store, claim):
    run, lease = claim(store)
    kill(store, lease.worker_id)
    assert len(store.leases.reap(LeaseObserver())) + len(store.leases.reap(LeaseObserver())) == 1
    assert len([e for e in store.events.read(run_id=run.id) if e.payload.type == "run.state_changed"]) == 2


def test_unregister_gives_its_runs_back(store, claim):
    run, lease = claim(store)
    store.leases.unregister(lease.worker_id)
    assert store.runs.get(run.id).reason.code is ReasonCode.LEASE_LOST
    store.leases.unregister("nobody")


def test_workers_tells_who_lives(store):
    mine, dead, far = (store.leases.register(kind=kind) for kind in ("agent", "engine", "engine"))
    kill(store, dead)
    set_process(store, far, host="another machine")
    store.leases.heartbeat(mine)
    workers = {worker.id: worker for worker in store.leases.workers()}
    assert {worker_id: worker.alive for worker_id, worker in workers.items()} == {mine: True, dead: False, far: None}
    assert (workers[mine].kind, workers[mine].beat) == ("agent", 1)


def test_a_state_is_left_only_the_allowed_way(store, claim):
    run, lease = claim(store)

    def pause():
        with store.write(lease) as write:
            write.lines(["lost with the transaction"])
            write.transition(S.STOPPED, DONE)

    with pytest.raises(ConflictError, match="cannot become stopped"):
        pause()
    assert store.runs.get(run.id).state is S.RUNNING
    assert store.logs.read(run.id) == []


def test_a_killed_process_is_dead_even_as_a_zombie():
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from modelyard.store.processes import current_process as c; p = c();"
            "print(p.host, p.boot_id, p.pid, p.start, sep='|', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    host, boot_id, pid, start = child.stdout.readline().strip().split("|")
    identity = type(current_process())(host=host, boot_id=boot_id, pid=int(pid), start=start)
    assert is_alive(identity) is True
    child.kill()
    deadline = time.monotonic() + 10
    while is_alive(identity) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_alive(identity) is False, "not waited for yet, so it is a zombie"
    child.wait()
    assert is_alive(identity) is False
    child.stdin.close()
    child.stdout.close()


def test_the_dead_process_of_a_closed_store_is_reaped_by_the_next(home, database_url, sweep):
    code = (
        "import sys, os\nfrom modelyard.store import open_store\n"
        "store = open_store(sys.argv[1], database_url=sys.argv[2] or None)\n"
        "assert store.leases.claim(store.leases.register(), limit=1)\nos._exit(9)"
    )
    with open_store(home, database_url=database_url) as store:
        sweep(store)
        subprocess.run([sys.executable, "-c", code, str(home), database_url or ""], check=False)
        assert store.runs.list()[0].state is S.RUNNING
        assert [run.state for run in store.leases.reap(LeaseObserver())] == [S.QUEUED]


def test_note_crash_of_an_unknown_worker_is_harmless(store):
    store.leases.note_crash("nobody", "signal 9")
    with pytest.raises(NotFoundError):
        store.runs.get("nobody")


@pytest.mark.parametrize(
    ("op", "state"), [(None, RunState.QUEUED), (Pause(), RunState.PAUSED), (Stop(), RunState.STOPPED)]
)
def test_a_lost_run_says_where_its_newest_checkpoint_is(store, claim, draft, op, state):
    run, lease = claim(store)
    saved = draft(store, 5)
    with store.write(lease) as write:
        write.checkpoint(saved, keep=1)
        write.progress(step=9, epoch=4, total_steps=20)
    record = None if op is None else store.runs.request(run.id, op, actor="ada")
    store.leases.unregister(lease.worker_id)
    lost = store.runs.get(run.id)
    assert (lost.state, lost.step, lost.epoch) == (state, saved.step, saved.epoch)
    if record is not None:
        assert store.controls.get(record.id).applied_step == 5
