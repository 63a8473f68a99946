"""Blobs: whole or not there, whatever happens; in a layout that OCI tools read; never outside of their folder."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.domain.errors import CorruptBlobError, NotFoundError, StorageFullError, StoreError
from modelyard.store import open_store

WRITER = """
import os, sys
from modelyard.store import open_store
with open_store(sys.argv[1]) as store:
    for number in range(1_000_000):
        content = os.urandom(8) * 40_000
        blob = store.blobs.put([content[:100_000], content[100_000:]])
        print(blob.digest, flush=True)
"""


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def stored(store) -> set[str]:
    return {path.name for path in (store.home.blobs / "blobs" / "sha256").iterdir()}


def temporary(store) -> list[Path]:
    return list((store.home.blobs / "temporary").iterdir())


@given(st.lists(st.binary(max_size=200), max_size=5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_come_back(sqlite_store, chunks):
    content = b"".join(chunks)
    blob = sqlite_store.blobs.put(chunks)
    assert (blob.digest, blob.size) == (digest_of(content), len(content))
    with sqlite_store.blobs.open(blob.digest) as file:
        assert file.read() == content
    assert sqlite_store.blobs.path(blob.digest).read_bytes() == content
    assert sqlite_store.blobs.exists(blob.digest)
    sqlite_store.blobs.verify(blob.digest)


def test_the_folder_is_an_oci_image_layout(store, tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"w" * 3_000_000)
    blob = store.blobs.put_file(file)
    root = store.home.blobs
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((root / "index.json").read_text())
    assert (index["schemaVersion"], index["manifests"]) == (2, [])
    assert (root / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")).stat().st_size == 3_000_000


def test_the_same_bytes_are_kept_once(store):
    for _ in range(3):
        store.blobs.put([b"same"])
    assert len(stored(store)) == 1
    assert temporary(store) == []


def test_putting_a_blob_again_heals_a_damaged_copy(store):
    blob = store.blobs.put([b"weights"])
    damage(store.blobs.path(blob.digest))
    store.blobs.put([b"weights"])
    store.blobs.verify(blob.digest)


def test_a_damaged_blob_is_named(store):
    blob = store.blobs.put([b"weights"])
    damage(store.blobs.path(blob.digest))
    with pytest.raises(CorruptBlobError, match=blob.digest) as caught:
        store.blobs.verify(blob.digest)
    assert caught.value.digest == blob.digest


@pytest.mark.parametrize(
    "digest",
    [
        "../../modelyard.db",
        "sha256:../../../home.json",
        "sha256:" + "a" * 63,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 64 + "\n",
        "md5:" + "a" * 64,
        "/etc/passwd",
        "",
    ],
)
def test_no_digest_leads_out_of_the_folder(sqlite_store, digest):
    blobs = sqlite_store.blobs
    for read in (blobs.path, blobs.verify, blobs.exists, lambda name: blobs.open(name).__enter__()):
        with pytest.raises(NotFoundError, match="not the digest of a blob"):
            read(digest)


def test_an_absent_blob_is_not_found(store):
    absent = digest_of(b"never stored")
    assert not store.blobs.exists(absent)
    for read in (store.blobs.path, store.blobs.verify):
        with pytest.raises(NotFoundError, match=absent):
            read(absent)


def test_a_source_that_fails_leaves_nothing(store):
    def chunks():
        yield b"half"
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        store.blobs.put(chunks())
    with pytest.raises(FileNotFoundError):
        store.blobs.put_file(store.home.path / "absent")
    assert (stored(store), temporary(store)) == (set(), [])


def test_threads_may_put_the_same_bytes_at_once(store):
    contents = [b"%d" % (number % 3) * 10_000 for number in range(12)]
    threads = [threading.Thread(target=store.blobs.put, args=([content],)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored(store)) == 3
    for name in stored(store):
        store.blobs.verify(f"sha256:{name}")


def test_kill_at_any_moment_leaves_whole_blobs_only(home):
    moments = random.Random(5)
    acknowledged: list[str] = []
    with open_store(home) as store:
        for _ in range(3):
            command = [sys.executable, "-c", WRITER, str(home)]
            writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert writer.stdout is not None
            acknowledged.append(writer.stdout.readline().strip())
            time.sleep(moments.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.read().split()
            writer.stdout.close()
            writer.wait()
        names = stored(store)
        assert {digest.removeprefix("sha256:") for digest in acknowledged} <= names
        for name in names:
            store.blobs.verify(f"sha256:{name}")
        store.gc.collect()
        assert (stored(store), temporary(store)) == (set(), [])


def test_a_full_disk_leaves_nothing_and_the_store_goes_on(small_disk):
    with open_store(small_disk / "home") as store:
        kept = store.blobs.put([b"small"])
        before = disk_usage(store.home.blobs)
        for _ in range(3):
            with pytest.raises(StorageFullError, match="full"):
                store.blobs.put(b"x" * 100_000 for _ in range(1000))
        assert disk_usage(store.home.blobs) == before
        assert temporary(store) == []
        store.blobs.verify(kept.digest)
        store.blobs.put([b"fits again"])


def test_a_disk_that_fills_up_blob_by_blob_never_keeps_half_of_one(small_disk):
    with open_store(small_disk / "home") as store:
        put = 0
        with pytest.raises(StorageFullError):  # noqa: PT012  how many blobs fit is not known before
            while True:
                store.blobs.put([b"%d" % put * 4000])
                put += 1
        assert put > 10
        assert len(stored(store)) >= put
        assert temporary(store) == []
        for name in stored(store):
            store.blobs.verify(f"sha256:{name}")


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "modelyard-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def disk_usage(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_an_unwritable_folder_is_named(sqlite_store, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"cannot use .*blobs: Permission denied"):
        sqlite_store.blobs.put([b"x"])
