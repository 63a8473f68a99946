import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from modelyard.engine.state_codec import flatten, unflatten

leaves = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
keys = st.text(max_size=5) | st.sampled_from(["$tensor", "$items", "$tuple"])
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(states)
def test_json_values_come_back_with_their_types(state: object) -> None:
    tensors, rest = flatten(state)
    assert unflatten(tensors, json.loads(json.dumps(rest))) == state


def test_tensors_come_back_bit_for_bit_through_files() -> None:
    state = {
        "state": {
            0: {"step": torch.tensor(3.0), "exp_avg": torch.randn(2, 3).T},
            1: {"nan": torch.tensor([float("nan")])},
        },
        "groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1]}],
        "half": torch.ones(3, dtype=torch.bfloat16),
        "empty": torch.empty(0),
    }
    tensors, rest = flatten(state)
    back = unflatten(load(save(tensors)), json.loads(json.dumps(rest)))
    assert back["groups"] == state["groups"]
    assert torch.equal(back["state"][0]["exp_avg"], state["state"][0]["exp_avg"])
    assert back["state"][1]["nan"].isnan().all()
    assert back["half"].dtype is torch.bfloat16
    assert back["empty"].shape == (0,)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_json_lacks(value: float) -> None:
    tensors, rest = flatten({"metrics": {"auroc": value}})
    back = unflatten(tensors, json.loads(json.dumps(rest, allow_nan=False)))["metrics"]["auroc"]
    assert repr(back) == repr(value)


def test_tied_weights_are_stored_once() -> None:
    weight = torch.randn(3)
    tensors, rest = flatten({"embed": weight, "head": weight})
    assert len(tensors) == 1
    assert torch.equal(unflatten(tensors, rest)["head"], weight)


def test_anything_else_is_refused_by_its_place() -> None:
    with pytest.raises(TypeError, match=r"'a\.b' is a set"):
        flatten({"a": {"b": {1}}})
