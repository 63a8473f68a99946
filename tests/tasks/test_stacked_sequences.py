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
    "pixels": (nn.Sequential(nn.Flatten(), nn.Linear(18, 3)), (8, 2, 3, 3)),
}
DO_NOT: dict[str, tuple[nn.Module, int]] = {
    "flattened vectors": (nn.Sequential(nn.Linear(6, 1), nn.Flatten(0)), 2),
    "a sequence": (nn.Sequential(nn.Linear(6, 1)), 3),
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
