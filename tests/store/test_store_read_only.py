"""A home that cannot be written is read as it is: after a clean end, beside a live writer, and after a crash."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelyard.api.operations import settle
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import StoreError
from modelyard.store import open_store


@contextmanager
def frozen(home: Path) -> Iterator[None]:
    """Take the right to write from a home and all that is in it, from the superuser too."""
    everything = [home, *home.rglob("*")]
    before = [(path, path.stat().st_mode) for path in everything]
    _immutable(everything, "+i")
    for path, mode in before if os.geteuid() else ():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        _immutable(everything, "-i")
        for path, mode in before if os.geteuid() else ():
            path.chmod(mode)


def _immutable(paths: list[Path], change: str) -> None:
    if os.geteuid() == 0:
        chattr = shutil.which("chattr")
        done = chattr and subprocess.run([chattr, change, *paths], capture_output=True, check=False).returncode == 0
        if not done:
            pytest.skip("the superuser can write everywhere here")


def create(home: Path, name: str = "digits") -> None:
    with open_store(home) as store:
        store.experiments.create(SweepSpec(name=name), [RunSpec()], actor="test")


def names(home: Path) -> list[str]:
    with open_store(home) as store:
        settle(store)
        return [run.name for run in store.runs.list()]


def test_a_home_that_was_closed_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    create(tmp_path / "home")
    with frozen(tmp_path / "home"):
        assert names(tmp_path / "home") == ["digits-1"]
        with open_store(tmp_path / "home") as store, pytest.raises(StoreError, match="cannot be written; check who"):
            store.experiments.create(SweepSpec(name="other"), [RunSpec()], actor="test")
    assert names(tmp_path / "home") == ["digits-1"]


WRITER = """
import os, sys
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.store import open_store
open_store(sys.argv[1]).experiments.create(SweepSpec(name="late"), [RunSpec()], actor="test")
print("done", flush=True)
sys.stdin.readline()
os._exit(1)
"""
"""Commits, lives until a line comes, and dies without tidying up."""


@contextmanager
def writer(home: Path) -> Iterator[None]:
    command = [sys.executable, "-c", WRITER, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield
        process.communicate("\n")


def test_what_a_live_writer_commits_is_seen(tmp_path: Path) -> None:
    home = tmp_path / "home"
    create(home)
    with writer(home), frozen(home):
        assert names(home) == ["digits-1", "late-1"]


def test_what_a_killed_writer_committed_is_seen_and_without_its_index_the_fix_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    create(home)
    with writer(home):
        pass
    assert (home / "modelyard.db-wal").stat().st_size > 0
    with frozen(home):
        assert names(home) == ["digits-1", "late-1"]
    (home / "modelyard.db-shm").unlink()
    with frozen(home), pytest.raises(StoreError, match="run `modelyard doctor` once where the home can be written"):
        names(home)
    assert names(home) == ["digits-1", "late-1"]
