"""A full disk, at any write: an error that says so, nothing half-written, and all well once there is space again."""

import os
import subprocess
from contextlib import suppress

import pytest
from sqlalchemy import text

from modelyard.domain.checkpoint import CheckpointDraft
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Tune
from modelyard.domain.errors import StorageFullError
from modelyard.domain.ports import Point
from modelyard.store import open_store

MEGABYTE = 2**20


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder, leave=0):
    """Use up all space but ``leave`` bytes."""
    filler = folder / "filler"
    size = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - leave
    filler.write_bytes(b"x" * max(size, 0))
    return filler


def big_points(name="loss"):
    return [Point(name, step, step * 0.1, (step * 0.37) % 1) for step in range(3000)]


def put_and_record(store, lease):
    blob = store.blobs.put([os.urandom(1000) for _ in range(200)])
    draft = CheckpointDraft(step=1, epoch=0, files={"model": blob}, metrics={})
    with store.write(lease) as write:
        write.checkpoint(draft, keep=1)


def write_points(store, lease):
    with store.write(lease) as write:
        write.points(big_points() + big_points("accuracy"))


def write_lines(store, lease):
    with store.write(lease) as write:
        write.lines([f"line {number} " + "x" * 100 for number in range(1000)])


def create(store, lease):
    specs = [RunSpec(seed=seed) for seed in range(100)]
    store.experiments.create(SweepSpec(name="more"), specs, actor="tester")


def ask(store, lease):
    for _ in range(200):
        store.runs.request(lease.run_id, Tune(epochs=9), actor="tester")


def state_of(store, run_id):
    return (
        store.runs.list(),
        store.experiments.list(),
        store.events.last_seq(),
        store.logs.read(run_id, limit=10**6),
        store.checkpoints.list(run_id),
        store.metrics.names(run_id),
    )


@pytest.mark.parametrize("leave", [0, 16 * 1024, 100 * 1024])
@pytest.mark.parametrize("work", [put_and_record, write_points, write_lines, create], ids=lambda work: work.__name__)
def test_work_on_a_full_disk_is_undone_and_can_be_done_later(small_disk, claim, work, leave):
    with open_store(small_disk / "home") as store:
        run, lease = claim(store)
        before = state_of(store, run.id)
        filler = fill(small_disk, leave)
        with pytest.raises(StorageFullError, match="is full"):
            work(store, lease)
        assert state_of(store, run.id) == before
        assert list((store.home.blobs / "temporary").iterdir()) == []
        filler.unlink()
        work(store, lease)
        assert state_of(store, run.id) != before
        with store.database.read() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def test_what_was_acknowledged_before_the_disk_filled_up_stays(small_disk, claim):
    with open_store(small_disk / "home") as store:
        run, lease = claim(store)
        acknowledged = 0
        filler = fill(small_disk, 300 * 1024)
        with suppress(StorageFullError):
            while acknowledged < 10_000:
                with store.write(lease) as write:
                    write.lines([f"{acknowledged} " + "x" * 500])
                acknowledged += 1
        assert 0 < acknowledged < 10_000
        assert len(store.logs.read(run.id, limit=10**6)) == acknowledged
    with open_store(small_disk / "home") as store:
        assert len(store.logs.read(run.id, limit=10**6)) == acknowledged
        filler.unlink()
        with store.write(lease) as write:
            write.lines(["on we go"])


def test_many_small_writes_fill_the_disk_at_any_of_them(small_disk, claim):
    with open_store(small_disk / "home") as store:
        run, lease = claim(store)
        fill(small_disk, 150 * 1024)
        with pytest.raises(StorageFullError):
            ask(store, lease)
        pending = store.controls.pending([run.id])
        asked = [event for event in store.events.read(run_id=run.id) if event.payload.type == "control.requested"]
        assert len(pending) == len(asked)


@pytest.mark.parametrize("leave", [0, 4096, 8192, 20_000, 60_000])
def test_opening_a_new_home_on_a_full_disk(small_disk, leave):
    filler = fill(small_disk, leave)
    with pytest.raises(StorageFullError):
        open_store(small_disk / "home")
    filler.unlink()
    open_store(small_disk / "home").close()


def test_opening_on_a_full_disk_says_so_and_harms_nothing(small_disk, claim):
    with open_store(small_disk / "home") as store:
        run, _ = claim(store)
    filler = fill(small_disk)
    with pytest.raises(StorageFullError):
        open_store(small_disk / "home")
    filler.unlink()
    with open_store(small_disk / "home") as store:
        assert store.runs.get(run.id).id == run.id
