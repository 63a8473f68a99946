"""On a disk without a free byte, the commands that free space still work."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.store import Store, open_store, reserve


@pytest.fixture
def home(disk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home is on a disk of 32 MB, and a reserve fits on it."""
    monkeypatch.delenv("MODELYARD_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reserve, "_ROOM", 8 * 2**20)
    folder: Path = disk.path / "home"
    return folder


def fill(disk: Any, home: Path) -> None:
    """Set the reserve aside as an agent does, leave files behind that nobody needs, and leave no byte."""
    with open_store(home) as store:
        store.home.reserve.set_aside()
        (store.home.blobs / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"0" * 2**21)
    disk.fill()


def test_delete_and_gc_make_room(cli: Any, trained: Any, disk: Any, home: Path) -> None:
    fill(disk, home)
    assert "is full" in cli.fails(6, "runs", "list")
    assert "checkpoints" in cli("storage").out
    cli("delete", "digits-1", "--yes")
    assert "2.0 MiB" in cli("gc").out
    assert [run["name"] for run in cli("runs", "list", "--json").json] == ["digits-2"]


def test_the_reserve_is_given_up_only_when_it_is_needed_and_made_anew(disk: Any, store: Store, home: Path) -> None:
    store.home.reserve.set_aside()
    store.close()
    open_store(home, spend_reserve=True).close()
    assert store.home.reserve.path.stat().st_size == 2**22
    disk.fill()
    open_store(home, spend_reserve=True).close()
    assert not store.home.reserve.path.exists()
    disk.fill()
    store.home.reserve.set_aside()
    assert not store.home.reserve.path.exists(), "on a disk without room, nothing half-written stays"
    disk.empty()
    store.home.reserve.set_aside()
    assert store.home.reserve.path.stat().st_size == 2**22
