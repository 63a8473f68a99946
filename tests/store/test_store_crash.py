"""kill -9 of a writer at random moments loses nothing that it was told is stored, and leaves nothing half-done."""

import random
import signal
import subprocess
import sys

import pytest

from modelyard.domain.run import RunState
from modelyard.store import LeaseObserver, open_store

WRITER = """
import sys
from modelyard.domain.checkpoint import CheckpointDraft
from modelyard.domain.errors import NotFoundError
from modelyard.domain.ports import Point
from modelyard.store import open_store

store = open_store(sys.argv[1], database_url=sys.argv[2] or None)
run, lease = (store.leases.claim(store.leases.register(), limit=1) + store.leases.claim(
    store.leases.register(), limit=1, isolated=True))[0]
try:
    last = store.checkpoints.find(run.id, "last")
except NotFoundError:
    last = None
start = 0 if last is None else last.step
with store.write(lease) as write:
    write.begin(start_step=start, checkpoint_id=None, total_steps=10**6, execution="solo", device="cpu", reason="r")
print("start", start, flush=True)
for step in range(start + 1, 10**6):
    draft = None
    if step % 3 == 0:
        files = {"model": store.blobs.put([b"weights %d" % step * 1000])}
        draft = CheckpointDraft(step=step, epoch=0, files=files, metrics={}, best=step % 6 == 0)
    with store.write(lease) as write:
        write.points([Point("loss", step, 0.0, float(step)), Point("accuracy", step, 0.0, -float(step))])
        write.lines([f"step {step}"])
        write.progress(step=step, epoch=0, total_steps=10**6)
        if draft is not None:
            write.checkpoint(draft, keep=2)
    print("step", step, flush=True)
"""


def run_until_killed(home, url, steps, rng):
    """Let a writer acknowledge about ``steps`` steps, kill it anywhere, and return its first and last ones."""
    command = [sys.executable, "-c", WRITER, str(home), url or ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        word, start = writer.stdout.readline().split()
        assert word == "start"
        seen = [writer.stdout.readline() for _ in range(steps)]
        try:
            writer.wait(rng.uniform(0, 0.02))
        except subprocess.TimeoutExpired:
            writer.send_signal(signal.SIGKILL)
        # What it printed after our last look counts too; a cut-off last line was not an acknowledgement.
        seen += [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        writer.wait()
    return int(start), int(seen[-1].split()[1])


def check(store, run_id, acknowledged):
    run = store.runs.get(run_id)
    done = int(store.metrics.history(run_id, "loss").steps[-1])
    assert done >= acknowledged
    for name, sign in (("loss", 1), ("accuracy", -1)):
        history = store.metrics.history(run_id, name)
        assert list(history.steps) == list(range(1, done + 1)), "no step is missing and none is there twice"
        assert list(history.values) == [sign * step for step in history.steps]
    lines = store.logs.read(run_id, limit=10**6)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1].text == f"step {done}"
    for checkpoint in store.checkpoints.list(run_id):
        for blob in checkpoint.files.values():
            store.blobs.verify(blob.digest)
    assert run.step == done - done % 3, "a lost run says where it goes on"
    if run.step:
        assert store.checkpoints.find(run_id, "last").step == run.step


@pytest.mark.parametrize("rounds", [3, pytest.param(25, marks=pytest.mark.long)])
def test_nothing_acknowledged_is_lost(home, database_url, sweep, rounds):
    rng = random.Random(rounds)
    with open_store(home, database_url=database_url) as store:
        sweep(store)
        run_id = store.runs.list()[0].id
        acknowledged = 0
        for _ in range(rounds):
            saved = acknowledged - acknowledged % 3
            start, acknowledged = run_until_killed(home, database_url, rng.randint(1, 12), rng)
            assert start >= saved, "it goes on from the newest acknowledged checkpoint"
            (taken,) = store.leases.reap(LeaseObserver())
            assert (taken.id, taken.state) == (run_id, RunState.QUEUED)
            check(store, run_id, acknowledged)
        store.gc.collect()
        check(store, run_id, acknowledged)
        kept = {blob.digest for checkpoint in store.checkpoints.list(run_id) for blob in checkpoint.files.values()}
        on_disk = {f"sha256:{path.name}" for path in (home / "blobs" / "blobs" / "sha256").iterdir()}
        assert on_disk == kept, "collection leaves what is needed and nothing else"
