"""Collection: nothing that is needed is ever lost, nothing else stays; alone and beside writers in other processes."""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from modelyard.domain.events import GarbageCollected
from modelyard.store import Store, blobs, open_store, pins
from modelyard.store.database import Database
from modelyard.store.schema import blob_pins, blob_refs

PUT_AND_DIE = """
import os, signal, sys
from modelyard.store import open_store
store = open_store(sys.argv[1])
store.blobs.put([b"nobody will record this"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def stored(store) -> set[str]:
    return {f"sha256:{path.name}" for path in (store.home.blobs / "blobs" / "sha256").iterdir()}


def referenced(store) -> set[str]:
    with store.database.read() as connection:
        return set(connection.scalars(select(blob_refs.c.digest)))


def pinned(store) -> set[str]:
    with store.database.read() as connection:
        return set(connection.scalars(select(blob_pins.c.digest)))


def record(store, lease, draft) -> None:
    with store.write(lease) as write:
        write.checkpoint(draft, keep=1)


def forget_pins(store) -> None:
    """Make all pins those of a process that is gone."""
    with store.database.write() as connection:
        connection.execute(update(blob_pins).values(process_start="0"))


def test_references_and_living_pins_keep_blobs(store, claim, draft):
    _, lease = claim(store)
    record(store, lease, draft(store, 1))
    pinned_blob = store.blobs.put([b"not recorded yet"])
    report = store.gc.collect()
    assert (report.blobs, report.freed_bytes, report.kept) == (0, 0, 2)
    assert stored(store) == referenced(store) | {pinned_blob.digest}


def test_what_nobody_needs_is_deleted_and_told(store, claim, draft):
    _, lease = claim(store)
    for step in (1, 2):
        record(store, lease, draft(store, step))
    report = store.gc.collect()
    assert (report.blobs, report.freed_bytes, report.kept) == (1, len(b"weights of step 1"), 1)
    assert stored(store) == referenced(store)
    assert store.events.read()[-1].payload == GarbageCollected(blobs=1, freed_bytes=report.freed_bytes)
    assert store.gc.collect().blobs == 0


def test_a_dry_run_says_the_same_and_does_nothing(store):
    store.blobs.put([b"abandoned"])
    forget_pins(store)
    before = store.events.last_seq()
    planned = store.gc.collect(dry_run=True)
    assert (planned.blobs, planned.freed_bytes) == (1, 9)
    assert len(stored(store)) == len(pinned(store)) == 1
    assert store.events.last_seq() == before
    assert store.gc.collect() == planned
    assert stored(store) == pinned(store) == set()


def test_each_record_releases_one_put(store, claim):
    """Two puts of the same bytes and one record: the other put is still on its way to its own record."""
    _, lease = claim(store)
    blob = store.blobs.put([b"same"])
    store.blobs.put([b"same"])
    with store.write(lease) as write:
        write.artifact("a", blob, step=1)
    other = store.blobs.put([b"other"])
    with store.write(lease) as write:
        write.artifact("a", other, step=2)
    store.gc.collect()
    assert store.blobs.exists(blob.digest)
    with store.write(lease) as write:
        write.artifact("b", blob, step=3)
    assert pinned(store) == set()


def test_a_rolled_back_record_keeps_the_pin(store, claim):
    _, lease = claim(store)
    blob = store.blobs.put([b"second try"])

    def fail():
        with store.write(lease) as write:
            write.artifact("a", blob, step=1)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    store.gc.collect()
    assert store.blobs.exists(blob.digest)


@pytest.mark.parametrize(("age_hours", "kept"), [(1, True), (25, False)])
def test_pins_of_other_hosts_count_for_a_day(store, age_hours, kept):
    blob = store.blobs.put([b"from elsewhere"])
    with store.database.write() as connection:
        [created_at] = connection.scalars(select(blob_pins.c.created_at))
        elsewhere = {"host": "elsewhere", "created_at": created_at - timedelta(hours=age_hours)}
        connection.execute(update(blob_pins).values(**elsewhere))
    store.gc.collect()
    assert store.blobs.exists(blob.digest) is kept


def test_what_a_killed_process_left_behind_goes(home):
    with open_store(home) as store:
        subprocess.run([sys.executable, "-c", PUT_AND_DIE, str(home)], check=False)
        assert len(stored(store)) == 1
        foreign = [folder / "notes.txt" for folder in (store.blobs.temporary, store.blobs.folder)]
        for path in foreign:
            path.write_bytes(b"not ours")
        assert store.gc.collect().blobs == 1
        assert stored(store) == {"sha256:notes.txt"}
        assert all(path.exists() for path in foreign)


def test_temporary_files_of_dead_processes_go_and_of_living_ones_stay(sqlite_store):
    store = sqlite_store
    seen = []

    def chunks():
        yield b"half"
        [path] = store.blobs.temporary.iterdir()
        place, pid, start, _ = path.name.split("-")
        dead = path.with_name(f"{place}-{pid}-{int(start) - 1}-0")
        dead.write_bytes(b"12345")
        seen.append(store.gc.collect())
        assert path.exists()
        assert not dead.exists()

    store.blobs.put(chunks())
    assert (seen[0].temp_files, seen[0].freed_bytes) == (1, 5)


def test_logs_of_engines_go_a_month_after_their_last_line(sqlite_store):
    store = sqlite_store
    old, new = store.home.worker_log("w1-1"), store.home.worker_log("w2-1")
    foreign = store.home.logs / "notes.txt"
    for path in (old, new, foreign):
        path.write_text("12345")
    for path in (old, foreign):
        os.utime(path, (time.time() - 31 * 86400,) * 2)
    assert store.gc.collect(dry_run=True).old_logs == 1
    report = store.gc.collect()
    assert (report.old_logs, report.freed_bytes) == (1, 5)
    assert (old.exists(), new.exists(), foreign.exists()) == (False, True, True)
    assert store.gc.collect().old_logs == 0


def collect_before(store, monkeypatch, target, name: str) -> None:
    """Let a whole collection happen right before the next call of ``target.name``."""
    original = getattr(target, name)

    def first_collect(*args, **options):
        monkeypatch.setattr(target, name, original)
        store.gc.collect()
        return original(*args, **options)

    monkeypatch.setattr(target, name, first_collect)


@pytest.mark.parametrize(("target", "name"), [(Database, "write"), (Path, "replace"), (blobs, "_fsync_folder")])
def test_a_collection_at_any_point_of_a_put_leaves_the_blob(sqlite_store, monkeypatch, target, name):
    """Before the pin, between pin and rename, and after: garbage of the same bytes lies there, and is collected."""
    store = sqlite_store
    store.blobs.put([b"same"])
    forget_pins(store)
    collect_before(store, monkeypatch, target, name)
    blob = store.blobs.put([b"same"])
    store.blobs.verify(blob.digest)
    store.gc.collect()
    assert store.blobs.exists(blob.digest)


def test_a_put_right_before_the_deletion_saves_the_blob(sqlite_store, monkeypatch):
    store = sqlite_store
    store.blobs.put([b"same"])
    forget_pins(store)
    needed, asked = pins.needed, []

    def needed_then_put(connection, digests):
        answer = needed(connection, digests)
        if not asked:  # outside of the lock; a writer puts the same bytes again before the collector holds it
            threads = threading.Thread(target=store.blobs.put, args=([b"same"],))
            threads.start()
            threads.join()
        asked.append(answer)
        return answer

    monkeypatch.setattr(pins, "needed", needed_then_put)
    assert store.gc.collect().blobs == 0
    assert asked[0] == set()
    assert len(stored(store)) == 1


def test_usage_adds_up(store, claim, draft):
    run, lease = claim(store)
    record(store, lease, draft(store, 1))
    blob = store.blobs.put([b"a" * 5000])
    with store.write(lease) as write:
        write.artifact("plot", blob, step=1)
        write.lines(["x" * 1000])
    store.blobs.put([b"loose"])
    forget_pins(store)
    usage = store.gc.usage()
    assert (usage.checkpoints, usage.artifacts, usage.unreferenced) == (len(b"weights of step 1"), 5000, 5)
    assert usage.logs == 1000
    assert usage.by_experiment == {run.experiment_id: usage.checkpoints + 5000 + 1000 + usage.metrics}
    assert usage.total == usage.checkpoints + usage.artifacts + usage.unreferenced + usage.database
    assert usage.database > 10_000


operations = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 5), st.just("a")),
    st.tuples(st.just("put"), st.integers(0, 5), st.just("a")),
    st.tuples(st.just("record")),
    st.tuples(st.just("record")),
    st.tuples(st.just("collect")),
    st.tuples(st.just("sleep"), st.floats(0, 0.02)),
)
programs = st.lists(st.lists(operations, min_size=10, max_size=30), min_size=4, max_size=4)
victims = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 3))


class Writers:
    """Four writer processes on one home, and a collector in a thread of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._processes = [self._start() for _ in range(4)]
        for process in self._processes:
            self._expect(process, "ready")

    def work(self, todo: list[list[tuple[object, ...]]], victim: int | None, delay: float) -> None:
        """Let each writer run its program, and kill the victim in the midst of it; collect all the while."""
        done = threading.Event()
        collector = threading.Thread(target=self._collect_until, args=(done,))
        collector.start()
        try:
            for process, program in zip(self._processes, todo, strict=True):
                process.stdin.write(json.dumps(program) + "\n")
                process.stdin.flush()
            if victim is not None:
                time.sleep(delay)
                self._processes[victim].kill()
            for number, process in enumerate(self._processes):
                if number != victim:
                    self._expect(process, "done")
        finally:
            done.set()
            collector.join()
        if victim is not None:
            _end(self._processes[victim])
            self._processes[victim] = self._start()
            self._expect(self._processes[victim], "ready")

    def stop(self) -> None:
        for process in self._processes:
            _end(process)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("gc_writer.py")), str(self._store.home.path)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def _expect(self, process: subprocess.Popen[str], answer: str) -> None:
        line = process.stdout.readline().strip()
        assert line == answer, process.stderr.read()

    def _collect_until(self, done: threading.Event) -> None:
        while not done.is_set():
            self._store.gc.collect()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def beside_four_writers(store: Store, sweep, *, seconds: float, kills: bool) -> int:
    """Run schedules that hypothesis chooses for so many seconds; return how many."""
    sweep(store, 500)
    writers = Writers(store)
    end = time.monotonic() + seconds
    rounds = 0

    # The first example is always the simplest one, so a call that makes only one would find nothing.
    @given(programs, victims if kills else st.none(), st.floats(0, 0.2))
    @settings(max_examples=50, database=None, derandomize=False, phases=[Phase.generate])
    def schedules(todo, victim, delay):
        nonlocal rounds
        if time.monotonic() > end:
            return
        writers.work(todo, victim, delay)
        needed = referenced(store)
        for digest in needed:
            store.blobs.verify(digest)
        store.gc.collect()
        assert stored(store) == needed | pinned(store)
        rounds += 1

    try:
        while time.monotonic() < end:
            schedules()
    finally:
        writers.stop()
    store.gc.collect()
    assert stored(store) == referenced(store)
    return rounds


def test_beside_four_writers_for_ten_seconds(sqlite_store, sweep):
    assert beside_four_writers(sqlite_store, sweep, seconds=10, kills=False) > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_beside_four_writers_that_may_be_killed_for_minutes(sqlite_store, sweep):
    seconds = float(os.environ.get("MODELYARD_LONG_SECONDS", "300"))
    assert beside_four_writers(sqlite_store, sweep, seconds=seconds, kills=True) > 10


def test_a_referenced_blob_that_is_gone_or_cut_short_is_named(store, claim, draft):
    _, lease = claim(store)
    saved = draft(store, 5)
    with store.write(lease) as write:
        write.checkpoint(saved, keep=1)
    assert store.gc.missing() == []
    digest = next(iter(saved.files.values())).digest
    store.blobs.path(digest).chmod(0o600)
    store.blobs.path(digest).write_bytes(b"")
    assert store.gc.missing() == [digest]
    store.blobs.path(digest).unlink()
    assert store.gc.missing() == [digest]
