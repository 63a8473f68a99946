"""An import is whole or not there at all, and an export is a whole file or none, whatever breaks at whatever moment."""

import random
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import event, func, select

from modelyard.api.bundles import export_bundle, import_bundle
from modelyard.api.targets import find_target
from modelyard.domain.checkpoint import CheckpointDraft
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConflictError, CorruptBlobError, StorageFullError
from modelyard.domain.ports import Point, Validation
from modelyard.store import open_store, schema

IMPORTER = """
import sys
from pathlib import Path
from modelyard.api.bundles import import_bundle
from modelyard.store import open_store

with open_store(sys.argv[1], database_url=sys.argv[2] or None) as store:
    print("ready", flush=True)
    import_bundle(store, Path(sys.argv[3]), actor="joe")
    print("done", flush=True)
"""


def fill(store, runs=4):
    store.experiments.create(SweepSpec(name="s"), [RunSpec(seed=seed) for seed in range(runs)], actor="ada")
    for run, lease in store.leases.claim(store.leases.register(), limit=runs):
        with store.write(lease) as write:
            how = {"execution": "solo", "device": "cpu", "reason": "a test"}
            write.begin(start_step=0, checkpoint_id=None, total_steps=9, **how)
        files = {name: store.blobs.put([f"{run.id} {name}".encode() * 5000]) for name in ("model", "state")}
        with store.write(lease) as write:
            write.points([Point("loss", step, 0.0, 1.0) for step in range(5000)])
            write.lines([f"line {number}" for number in range(200)])
            write.validations([Validation(1, 2, {"val_loss": 1.0})])
            write.checkpoint(CheckpointDraft(step=2, epoch=1, files=files, metrics={}), keep=1)


@pytest.fixture
def bundle(tmp_path):
    with open_store(tmp_path / "from") as source:
        fill(source)
        export_bundle(source, find_target(source, "s"), tmp_path / "s.zip", actor="ada")
    return tmp_path / "s.zip"


def row_counts(store):
    with store.database.read() as connection:
        tables = [table for table in schema.metadata.sorted_tables if table.name not in {"blob_pins", "workers"}]
        counts = {table.name: connection.execute(select(func.count()).select_from(table)).scalar() for table in tables}
    return {name: count for name, count in counts.items() if count}


def clean(store):
    """Whether a collection leaves nothing behind of what was never recorded."""
    store.gc.collect()
    recorded = {blob.digest for run in store.runs.list() for blob in blobs_of(store, run)}
    on_disk = {f"sha256:{path.name}" for path in store.blobs.folder.iterdir()}
    return on_disk == recorded and list(store.blobs.temporary.iterdir()) == []


def blobs_of(store, run):
    return [blob for one in store.checkpoints.list(run.id) for blob in one.files.values()]


def test_a_fault_at_any_statement_leaves_nothing(store, bundle):
    """Let each statement fail in turn, reads included: first as many as an import has are counted."""
    engine, seen, failing = store.database._engine, [], []

    def listen(_connection, _cursor, statement, *_):
        seen.append(statement)
        if failing and len(seen) == failing[0]:
            raise RuntimeError("a fault")

    event.listen(engine, "before_cursor_execute", listen)
    before = row_counts(store)
    number = 0
    while True:
        number += 1
        seen.clear()
        failing[:] = [number]
        try:
            import_bundle(store, bundle, actor="joe")
        except RuntimeError:
            failing.clear()
            assert row_counts(store) == before, seen[-1]
        else:
            break
    assert number > 40
    failing.clear()
    assert len(store.runs.list()) == 4
    assert clean(store)
    assert store.gc.missing() == []


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.long)])
def test_a_killed_import_is_whole_or_not_there(home, database_url, bundle, rounds):
    rng = random.Random(rounds)
    with open_store(home, database_url=database_url) as store:
        empty = row_counts(store)
        started = time.monotonic()
        import_bundle(store, bundle, actor="joe")
        seconds = time.monotonic() - started
        whole = row_counts(store)
        for _ in range(rounds):
            for experiment in store.experiments.list():
                store.experiments.delete(experiment.id, actor="ada")
            with store.database.write() as connection:
                connection.execute(schema.events.delete())
            assert row_counts(store) == empty
            command = [sys.executable, "-c", IMPORTER, str(home), database_url or "", str(bundle)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as importer:
                assert importer.stdout.readline() == "ready\n"
                try:
                    importer.wait(rng.uniform(0, 1.5 * seconds))
                except subprocess.TimeoutExpired:
                    importer.send_signal(signal.SIGKILL)
                told = importer.stdout.read()
            counts = row_counts(store)
            assert counts in ([whole] if told else [empty, whole])
            assert clean(store)
            assert store.gc.missing() == []
        import_bundle(store, bundle, actor="joe")
        assert {**row_counts(store), "events": 0} == {**whole, "events": 0}  # a collection has one of its own


def test_two_imports_at_once_make_one(store, home, database_url, bundle):
    command = [sys.executable, "-c", IMPORTER, str(home), database_url or "", str(bundle)]
    importers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for importer in importers:
        assert importer.communicate(timeout=60)[0] == "ready\ndone\n"
    assert len(store.runs.list()) == 4
    assert sum(one.payload.type == "experiment.imported" for one in store.events.read(limit=10**6)) == 1
    assert clean(store)


def test_a_full_disk_leaves_no_file_and_no_import(disk, tmp_path, bundle):
    with open_store(tmp_path / "from") as source:
        disk.fill()
        with pytest.raises(StorageFullError, match="is full"):
            export_bundle(source, find_target(source, "s"), disk.path / "s.zip", actor="ada")
        assert [path.name for path in disk.path.iterdir()] == ["ballast"]
        disk.empty()
    with open_store(disk.path / "home") as store:
        disk.fill()
        with pytest.raises(StorageFullError, match="is full"):
            import_bundle(store, bundle, actor="joe")
        disk.empty()
        assert row_counts(store) == {}
        assert len(import_bundle(store, bundle, actor="joe").runs) == 4


def test_a_disk_that_fills_while_blobs_are_put(disk, bundle, monkeypatch):
    monkeypatch.setattr("modelyard.api.bundles.importing._check_room", lambda *_: None)
    with open_store(disk.path / "home") as store:
        disk.fill()
        with pytest.raises(StorageFullError, match="is full"):
            import_bundle(store, bundle, actor="joe")
        disk.empty()
        assert row_counts(store) == {}
        assert clean(store)


def test_a_damaged_blob_is_not_exported(tmp_path):
    with open_store(tmp_path / "home") as store:
        fill(store, 1)
        victim = store.blobs.path(blobs_of(store, store.runs.list()[0])[0].digest)
        victim.chmod(0o600)
        victim.write_bytes(b"x" * victim.stat().st_size)
        with pytest.raises(CorruptBlobError, match="--checkpoints none"):
            export_bundle(store, find_target(store, "s"), tmp_path / "s.zip", actor="ada")
        victim.unlink()
        with pytest.raises(ConflictError, match="was deleted meanwhile"):
            export_bundle(store, find_target(store, "s"), tmp_path / "s.zip", actor="ada")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_checkpoint_that_is_replaced_meanwhile_is_held(tmp_path, monkeypatch):
    """The run goes on, drops the checkpoint that the bundle has, and a collection runs, all before blobs are read."""
    with open_store(tmp_path / "home") as store, open_store(tmp_path / "to") as target:
        fill(store, 1)
        run = store.runs.list()[0]
        before = store.checkpoints.list(run.id)
        opened = store.blobs.open

        def meanwhile(digest):
            monkeypatch.setattr(store.blobs, "open", opened)
            with store.database.write() as connection:
                connection.execute(schema.checkpoints.delete())
                connection.execute(schema.blob_refs.delete())
            assert store.gc.collect().blobs == 0, "what is being exported is held"
            return opened(digest)

        monkeypatch.setattr(store.blobs, "open", meanwhile)
        export_bundle(store, find_target(store, "s"), tmp_path / "s.zip", actor="ada")
        import_bundle(target, tmp_path / "s.zip", actor="joe")
        assert target.checkpoints.list(run.id) == before
        assert store.gc.collect().blobs == 2, "and free afterwards"
