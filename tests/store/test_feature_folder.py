"""The folder of computed features stays within its limit, and loses nothing that is not ours."""

import os
from pathlib import Path

import pytest

from modelyard.store import Store
from modelyard.store.feature_folder import FeatureFolder

KEYS = [character * 64 for character in "abcd"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "features"


def put(folder: FeatureFolder, key: str, size: int, *, used: float) -> Path:
    path = folder.open(key, size)
    assert path is not None
    (path / "train.rows").write_bytes(bytes(size))
    os.utime(path, (used, used))
    return path


def test_the_longest_unused_go_first(root: Path) -> None:
    folder = FeatureFolder(root, limit=100)
    one, two, three = (put(folder, key, 30, used=used) for key, used in zip(KEYS, (3.0, 1.0, 2.0), strict=False))
    assert folder.open(KEYS[0], 30) == one  # which counts once
    assert two.exists()
    os.utime(one, (9.0, 9.0))
    folder.open(KEYS[3], 60)
    assert (one.exists(), two.exists(), three.exists()) == (True, False, False)
    assert folder.size() == 30


def test_more_than_the_limit_has_no_place_and_costs_nobody_his(root: Path) -> None:
    folder = FeatureFolder(root, limit=100)
    kept = put(folder, KEYS[0], 90, used=1.0)
    assert folder.open(KEYS[1], 101) is None
    assert kept.exists()


def test_what_we_did_not_make_stays(root: Path) -> None:
    folder = FeatureFolder(root, limit=100)
    ours = put(folder, KEYS[0], 90, used=1.0)
    (ours / "notes.txt").write_text("mine")
    (root / "other").mkdir()
    (root / "other" / "train.rows").write_bytes(b"mine")
    folder.open(KEYS[1], 100)
    assert [path.name for path in ours.iterdir()] == ["notes.txt"]
    assert (root / "other" / "train.rows").read_bytes() == b"mine"


def test_an_open_file_outlives_its_folder(root: Path) -> None:
    folder = FeatureFolder(root, limit=100)
    ours = put(folder, KEYS[0], 90, used=1.0)
    with (ours / "train.rows").open("rb") as file:
        folder.open(KEYS[1], 100)
        assert not ours.exists()
        assert len(file.read()) == 90


def test_storage_counts_them(store: Store) -> None:
    before = store.gc.usage()
    put(FeatureFolder(store.home.features, limit=10_000), KEYS[0], 5000, used=1.0)
    after = store.gc.usage()
    assert (before.features, after.features) == (0, 5000)
    assert after.total - after.database == before.total - before.database + 5000
