"""Rows that were computed once: the same bytes from memory and from the disk, and never a damaged one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.errors import StorageFullError, StoreError
from modelyard.tasks.feature_rows import BLOCK, FeatureRows

WIDTH = 12


def content(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, WIDTH), dtype=np.uint8)


def opened(folder: Path | None, count: int, kept: int) -> FeatureRows:
    return FeatureRows(folder, "train", count=count, row_bytes=WIDTH, kept=kept)


def filled(folder: Path | None, count: int, kept: int) -> FeatureRows:
    rows = opened(folder, count, kept)
    for block in range(rows.blocks):
        assert not rows.load(block)
        rows.store(block, content(count)[rows.span(block)])
    return rows


@given(count=st.integers(0, 200))
def test_blocks_cover_every_row_once_and_none_is_a_single_row_beside_others(count: int) -> None:
    rows = opened(None, count, count)
    spans = [rows.span(block) for block in range(rows.blocks)]
    assert [number for span in spans for number in span] == list(range(count))
    assert all(len(span) > 1 for span in spans) or count == 1
    assert all(len(span) == BLOCK for span in spans[:-1])


@pytest.mark.parametrize("kept", [0, 1, 50, 97, 1000])
def test_rows_are_the_same_wherever_they_are_kept(tmp_path: Path, kept: int) -> None:
    numbers = np.random.default_rng(0).integers(0, 97, 300)
    assert np.array_equal(filled(tmp_path, 97, kept).take(numbers), content(97)[numbers])
    again = opened(tmp_path, 97, kept)
    assert all(again.load(block) for block in range(again.blocks))
    assert np.array_equal(again.take(numbers), content(97)[numbers])


@pytest.mark.parametrize("damage", ["flip", "cut", "no digests", "zero"])
def test_a_damaged_or_half_written_block_is_not_there(tmp_path: Path, damage: str) -> None:
    filled(tmp_path, 97, 0)
    file, digests = tmp_path / "train.rows", tmp_path / "train.digests"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[40 * WIDTH] ^= 1
    elif damage == "cut":
        del data[40 * WIDTH :]
    elif damage == "zero":
        data[32 * WIDTH : 64 * WIDTH] = bytes(32 * WIDTH)
    else:
        digests.write_bytes(b"")
    file.write_bytes(data)
    rows = opened(tmp_path, 97, 97)
    found = [rows.load(block) for block in range(rows.blocks)]
    assert found == {"cut": [True, False, False], "no digests": [False] * 3}.get(damage, [True, False, True])
    for block in range(rows.blocks):
        rows.store(block, content(97)[rows.span(block)])
    mended = opened(tmp_path, 97, 0)
    assert all(mended.load(block) for block in range(mended.blocks))


def test_two_that_write_the_same_file_find_what_the_other_wrote(tmp_path: Path) -> None:
    one, other = opened(tmp_path, 97, 97), opened(tmp_path, 97, 97)
    one.store(1, content(97)[one.span(1)])
    assert [other.load(block) for block in range(3)] == [False, True, False]
    other.store(0, content(97)[other.span(0)])
    assert one.load(0)


def test_a_file_that_is_cut_later_is_an_error_and_not_other_numbers(tmp_path: Path) -> None:
    rows = filled(tmp_path, 97, 0)
    with (tmp_path / "train.rows").open("r+b") as file:
        file.truncate(WIDTH)
    with pytest.raises(StoreError, match="cut short"):
        rows.take(np.array([5]))


def test_a_full_disk_matters_only_without_room_in_memory(disk: Any) -> None:
    in_memory, on_disk = opened(disk.path, 97, 97), FeatureRows(disk.path, "val", count=97, row_bytes=WIDTH, kept=0)
    disk.fill()
    in_memory.store(0, content(97)[in_memory.span(0)])
    assert np.array_equal(in_memory.take(np.arange(BLOCK)), content(97)[:BLOCK])
    with pytest.raises(StorageFullError):
        on_disk.store(0, content(97)[on_disk.span(0)])
    disk.empty()
    on_disk.store(0, content(97)[on_disk.span(0)])
