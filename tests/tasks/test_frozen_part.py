"""A frozen part: on a device only while it is needed there, and ever the same on the host."""

import copy
import gc

import pytest
import torch
from torch import nn

from modelyard.tasks.frozen_part import FrozenParts, is_same

CONFIG = {"kind": "small"}


def module(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)).requires_grad_(requires_grad=False)


def test_equal_modules_of_one_config_are_one_part() -> None:
    parts = FrozenParts()
    part = parts.share(module(), CONFIG)
    assert parts.share(module(), CONFIG) is part
    assert parts.share(module(), {"kind": "other"}) is not part
    other = parts.share(module(1), CONFIG)
    assert other is not part
    assert other.digest != part.digest
    counted = module()
    counted[1].num_batches_tracked.add_(1)  # type: ignore[index, union-attr, operator]
    assert parts.share(counted, CONFIG) is not part
    assert copy.deepcopy({"a": part})["a"] is part


def test_a_part_lasts_while_somebody_has_it() -> None:
    parts = FrozenParts()
    part = parts.share(module(), CONFIG)
    del part
    gc.collect()
    assert len(parts) == 0


def test_a_model_has_it_for_as_long_as_it_is_used() -> None:
    part = FrozenParts().share(module(), CONFIG)
    owner = nn.Module()
    owner.backbone = None
    with part.inside(owner, "backbone"):
        assert [tensor.data_ptr() for tensor in owner.parameters()] == [one.data_ptr() for one in part.tensors[:4]]
    assert list(owner.parameters()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_on_a_device_it_is_a_copy_that_goes_away() -> None:
    device = torch.device("cuda")
    part = FrozenParts().share(module().to(device), CONFIG)
    places = [tensor.data_ptr() for tensor in part.tensors]
    owner = nn.Module()
    for _ in range(2):
        part.to_device(device)
        with part.inside(owner, "backbone"):
            assert {tensor.device.type for tensor in owner.parameters()} == {"cuda"}
        assert part.bytes(on_device=True) == part.bytes(on_device=False) == 4 * (15 + 5 + 4 * 5) + 8
        part.leave_device()
        assert part.bytes(on_device=True) == 0
        with part.inside(owner, "backbone"):
            assert [tensor.data_ptr() for tensor in (*owner.parameters(), *owner.buffers())] == places


def test_tensors_are_the_same_by_their_bits_alone() -> None:
    one = torch.tensor([0.0, torch.nan, 1.0])
    assert is_same(one, one.clone())
    assert not is_same(one, torch.tensor([-0.0, torch.nan, 1.0]))
    assert not is_same(one, one.double())
    assert not is_same(one, one[:2])
    assert is_same(torch.arange(9)[1:].int()[1:], torch.arange(2, 9).int()), "wherever a view begins"
