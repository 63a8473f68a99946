"""The rules are used for a user's model only where they compute what the model computes."""

import copy

import pytest
import torch
from torch import Tensor, nn

from modelyard.tasks.stacked import StackedModel, follows_rules

SHARED = nn.Linear(6, 6)
FOLLOW: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "perceptron": (
        nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Sequential(nn.Dropout(), nn.Linear(16, 1))),
        (8, 6),
    ),
    "norm": (nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Tanh()), (8, 6)),
    "convolution": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ),
        (8, 2, 6, 6),
    ),
    "groups of channels": (
        nn.Sequential(
            *(nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6), nn.SiLU(), nn.AvgPool2d(2, stride=1)),
            *(nn.Conv2d(6, 4, 2, bias=False), nn.GroupNorm(1, 4), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        ),
        (8, 2, 6, 6),
    ),
    "normalised first": (nn.Sequential(nn.Conv2d(1, 4, 1), nn.GroupNorm(2, 4), nn.Flatten()), (3, 1, 5, 3)),
    "tokens": (
        nn.Sequential(
            *(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.2)),
            *(nn.Flatten(), nn.Linear(40, 3)),
        ),
        (4, 5, 6),
    ),
    "pixels": (nn.Sequential(nn.Flatten(), nn.Linear(18, 3)), (8, 2, 3, 3)),
}
DO_NOT: dict[str, tuple[nn.Module, int]] = {
    "flattened vectors": (nn.Sequential(nn.Linear(6, 1), nn.Flatten(0)), 2),
    "features of a sequence": (nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), 3),
    "a volume": (nn.Sequential(nn.Flatten(), nn.Linear(8, 1)), 5),
    "rows of limited length": (nn.Sequential(nn.Embedding(6, 4, max_norm=1.0)), 2),
    "rows for a table": (nn.Sequential(nn.Embedding(6, 4)), 3),
    "the same layer twice": (nn.Sequential(SHARED, nn.ReLU(), SHARED), 2),
    "dropout of images": (nn.Sequential(nn.Conv2d(2, 4, 3), nn.Dropout(0.1)), 4),
    "reflecting convolution": (nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")), 4),
    "cumulative statistics": (nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, momentum=None)), 2),
    "norm without bias": (nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4, elementwise_affine=False)), 2),
    "groups without scale": (nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4, affine=False)), 4),
    "groups of features": (nn.Sequential(nn.Linear(6, 4), nn.GroupNorm(2, 4)), 2),
    "averaged input": (nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 4, 3)), 4),
    "unknown layer": (nn.Sequential(nn.Linear(6, 4), nn.Softplus()), 2),
    "in place": (nn.Sequential(nn.Linear(6, 4), nn.ReLU(inplace=True)), 2),
    "rectified input": (nn.Sequential(nn.ReLU(), nn.Conv2d(2, 4, 3)), 4),
}


@pytest.mark.parametrize("name", FOLLOW)
def test_where_the_rules_are_used_they_agree_with_each_member(name: str) -> None:
    model, shape = FOLLOW[name]
    assert follows_rules(model, len(shape))
    members = [copy.deepcopy(model) for _ in range(3)]
    for seed, member in enumerate(members):
        torch.manual_seed(seed)
        for parameter in member.parameters():
            nn.init.normal_(parameter)
    twins = copy.deepcopy(members)
    inputs = torch.randn(3, *shape)
    expected: list[Tensor] = []
    for seed, (twin, own) in enumerate(zip(twins, inputs, strict=True)):
        torch.manual_seed(seed)
        expected.append(twin(own))
        expected[-1].square().sum().backward()
    with StackedModel(members, [torch.Generator().manual_seed(seed) for seed in range(3)]) as stack:
        outputs = stack.forward(inputs)
        stack.backward(2 * outputs)
        stack.hand_out_gradients()
        gradients = [parameter.grad for member in members for parameter in member.parameters()]
    torch.testing.assert_close(list(outputs), expected)
    wanted = [parameter.grad for twin in twins for parameter in twin.parameters()]
    torch.testing.assert_close(gradients, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", DO_NOT)
def test_where_the_rules_would_be_wrong_they_are_not_used(name: str) -> None:
    model, dims = DO_NOT[name]
    assert not follows_rules(model, dims)


def test_hooks_are_not_passed_over() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    assert follows_rules(model, 2)
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    assert not follows_rules(model, 2)


@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("autograd", [False, True])
def test_embeddings_are_those_of_each_member(padding: int | None, shared: bool, autograd: bool) -> None:
    model = nn.Sequential(nn.Embedding(7, 16, padding_idx=padding), nn.Flatten(), nn.Linear(80, 16))
    assert follows_rules(model, 2)
    members = [copy.deepcopy(model) for _ in range(3)]
    for member in members:
        nn.init.normal_(member[0].weight)
    twins = copy.deepcopy(members)
    inputs = torch.randint(0, 7, (1 if shared else 3, 8, 5))
    for twin, own in zip(twins, inputs.expand(3, -1, -1), strict=True):
        twin(own).sum().backward()
    with StackedModel(members, [torch.Generator() for _ in range(3)]) as stack:
        if autograd:
            outputs = stack._layer(inputs)
            outputs.sum().backward()
        else:
            outputs = stack.forward(inputs)
            stack.backward(torch.ones_like(outputs))
        stack.hand_out_gradients()
        for member, twin, own, found in zip(members, twins, inputs.expand(3, -1, -1), outputs, strict=True):
            assert torch.equal(found, twin(own))
            for ours, alone in zip(member.parameters(), twin.parameters(), strict=True):
                assert torch.equal(ours.grad, alone.grad)


@pytest.mark.parametrize("index", [-1, 7])
def test_an_index_outside_the_table_never_reads_the_row_of_another_member(index: int) -> None:
    members = [nn.Sequential(nn.Embedding(7, 4)) for _ in range(3)]
    inputs = torch.zeros(3, 2, 5, dtype=torch.long)
    inputs[1, 0, 0] = index
    with StackedModel(members, [torch.Generator() for _ in range(3)]) as stack, pytest.raises(IndexError):
        stack.forward(inputs)
