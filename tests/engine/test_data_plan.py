import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.errors import ConfigError
from modelyard.engine.data_plan import DataPlan


def plan(samples: int = 10, batch_size: int = 3, accumulate: int = 1, data_seed: int = 0) -> DataPlan:
    return DataPlan(samples=samples, batch_size=batch_size, accumulate=accumulate, data_seed=data_seed)


@given(
    samples=st.integers(1, 200),
    batch_size=st.integers(1, 50),
    accumulate=st.integers(1, 5),
    epoch=st.integers(0, 1000),
)
def test_an_epoch_sees_every_sample_once(samples: int, batch_size: int, accumulate: int, epoch: int) -> None:
    data = plan(samples, min(batch_size, samples), accumulate)
    order = data.permutation(epoch)
    seen = [micro for step in range(data.steps_per_epoch) for micro in data.step(order, step)]
    assert sorted(np.concatenate(seen).tolist()) == list(range(samples))
    assert all(len(micro) for micro in seen)
    assert all(1 <= len(data.step(order, step)) <= accumulate for step in range(data.steps_per_epoch))


@given(samples=st.integers(2, 100), batch_size=st.integers(2, 50))
def test_no_batch_of_one_sample_for_batch_norm(samples: int, batch_size: int) -> None:
    data = plan(samples, min(batch_size, samples))
    order = data.permutation(0)
    assert all(len(micro) > 1 for step in range(data.steps_per_epoch) for micro in data.step(order, step))


def test_order_depends_on_seed_and_epoch_alone() -> None:
    assert (plan(100).permutation(3) == plan(100).permutation(3)).all()
    assert (plan(100).permutation(3) != plan(100).permutation(4)).any()
    assert (plan(100, data_seed=1).permutation(3) != plan(100).permutation(3)).any()
    assert (plan(100, batch_size=7).permutation(3) == plan(100).permutation(3)).all()


def test_batch_larger_than_the_data_names_field_and_fix() -> None:
    with pytest.raises(ConfigError, match=r"training\.batch_size: 64 is larger than the 10 .* use at most 10"):
        plan(10, batch_size=64)
