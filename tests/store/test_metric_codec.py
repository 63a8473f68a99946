"""Sealed columns come back bit for bit, whatever they are, in few bytes if they are what training logs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.errors import StoreError
from modelyard.store.metrics.codec import pack, unpack

int64 = st.integers(-(2**63), 2**63 - 1)
rows = st.lists(st.tuples(int64, int64, st.floats(), st.floats(width=32)), min_size=1, max_size=50)


@given(rows)
def test_columns_come_back_bit_for_bit(table: list[tuple[int, int, float, float]]) -> None:
    first, second, wide, narrow = (list(column) for column in zip(*table, strict=True))
    integers = [np.array(first, np.int64), np.array(second, np.int64)]
    floats = [np.array(wide, np.float64), np.array(narrow, np.float64)]
    found_integers, found_floats = unpack(pack(integers, floats))
    for given_column, found in zip(integers + floats, found_integers + found_floats, strict=True):
        assert found.dtype == given_column.dtype
        assert found.tobytes() == given_column.tobytes()


def test_a_column_that_counts_up_evenly_costs_next_to_nothing() -> None:
    steps = np.arange(0, 4096 * 50, 50, dtype=np.int64)
    assert len(pack([steps], [])) < 100


def test_float32_values_cost_half_of_float64_values() -> None:
    noise = np.random.default_rng(0).normal(size=4096)
    steps = np.arange(4096, dtype=np.int64)
    narrow = pack([steps], [noise.astype(np.float32).astype(np.float64)])
    assert len(narrow) < 0.55 * len(pack([steps], [noise]))


def test_a_newer_format_is_refused() -> None:
    data = pack([np.arange(3)], [])
    with pytest.raises(StoreError, match="install a newer one"):
        unpack(b"\x7f" + data[1:])
