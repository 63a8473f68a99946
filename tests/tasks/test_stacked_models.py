"""Models that train as one: the same numbers as each alone, and as few kernels for many as for two."""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from modelyard.domain.parts.losses import CrossEntropy
from modelyard.domain.parts.models import ModelConfig
from modelyard.tasks.losses import build_loss
from modelyard.tasks.models import build_model
from modelyard.tasks.stacked import StackedModel, can_stack, stack_losses
from modelyard.tasks.stacked.products import linear

CLASSES = [str(digit) for digit in range(10)]
CONFIGS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden_sizes": [16, 32]},
    "cnn": {"name": "cnn", "channels": [4, 8], "hidden_size": 16},
    "resnet": {"name": "resnet", "channels": [4, 8], "blocks": [1, 1]},
    "vit": {"name": "vit", "hidden_size": 16, "layers": 2, "heads": 2, "patch_size": 2},
    "vit of many tokens": {"name": "vit", "hidden_size": 16, "layers": 1, "heads": 2, "patch_size": 1},
}

BATCHED = [name for name in CONFIGS if name != "vit of many tokens"]
"""Its patches are of one pixel: products that no batch does with the same bits."""


def models(count: int, **config: Any) -> list[nn.Module]:
    validated = TypeAdapter(ModelConfig).validate_python(config)
    torch.manual_seed(0)
    return [build_model(validated, image_size=8, channels=1, classes=CLASSES) for _ in range(count)]


def streams(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def alone(members: Sequence[nn.Module], inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> list[Tensor]:
    """Give every member its gradients, one after the other; return the outputs."""
    outputs = []
    for seed, (member, pixels, wanted) in enumerate(zip(members, inputs, targets, strict=True)):
        torch.manual_seed(seed)
        outputs.append(member(pixels))
        functional.cross_entropy(outputs[-1], wanted).backward()
    return outputs


def stacked(members: Sequence[nn.Module], inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> list[Tensor]:
    """Give every member its gradients, all at once; return the outputs."""
    with StackedModel(members, streams(len(members))) as stack:
        shared = all(one is inputs[0] for one in inputs)
        outputs = stack.forward(inputs[0].unsqueeze(0) if shared else torch.stack(inputs))
        _, back = stack_losses([build_loss(CrossEntropy(), class_counts=[]) for _ in members])(outputs, targets)
        stack.backward(back(torch.ones(len(members))))
        stack.hand_out_gradients()
        gradients = [[parameter.grad for parameter in member.parameters()] for member in members]
    for member, own in zip(members, gradients, strict=True):
        for parameter, gradient in zip(member.parameters(), own, strict=True):
            parameter.grad = gradient
    return list(outputs)


def data(count: int, batch: int, *, shared: bool = False) -> tuple[list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(batch)
    inputs = [torch.rand(batch, 1, 8, 8, generator=generator) for _ in range(count)]
    targets = [torch.randint(0, 10, (batch,), generator=generator) for _ in range(count)]
    return ([inputs[0]] * count, [targets[0]] * count) if shared else (inputs, targets)


def differences(members: Sequence[nn.Module], others: Sequence[nn.Module]) -> list[str]:
    return [
        name
        for one, other in zip(members, others, strict=True)
        for (name, parameter), twin in zip(one.named_parameters(), other.parameters(), strict=True)
        if not torch.equal(parameter.grad, twin.grad)
    ]


sizes = st.integers(2, 70) | st.sampled_from([16, 32, 64, 128])


@given(st.integers(1, 5), st.integers(1, 40), sizes, sizes, st.sampled_from([torch.float32, torch.bfloat16]))
@settings(max_examples=200)
def test_a_linear_layer_equals_single_ones_bit_for_bit(
    members: int, batch: int, width: int, out: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(width * 1000 + out)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    x, weight = draw(members, batch, width).requires_grad_(), draw(members, out, width).requires_grad_()
    bias, gradient = draw(members, out).requires_grad_(), draw(members, batch, out)
    result = linear(x, weight, bias)
    result.backward(gradient)
    for number in range(members):
        own = [tensor.detach()[number].clone().requires_grad_() for tensor in (x, weight, bias)]
        expected = functional.linear(*own)
        expected.backward(gradient[number].clone())
        assert torch.equal(result[number], expected)
        for tensor, twin in zip((x, weight, bias), own, strict=True):
            assert torch.equal(tensor.grad[number], twin.grad)


@pytest.mark.parametrize("smoothing", [(0.0, 0.0, 0.0), (0.0, 0.1, 0.3)])
@pytest.mark.parametrize("batch", [1, 7, 32, 100])
def test_cross_entropies_equal_single_ones_bit_for_bit(smoothing: Sequence[float], batch: int) -> None:
    generator = torch.Generator().manual_seed(batch)
    logits = torch.randn(3, batch, 10, generator=generator) * 30
    targets = list(torch.randint(0, 10, (3, batch), generator=generator))
    functions = [build_loss(CrossEntropy(label_smoothing=one), class_counts=[]) for one in smoothing]
    scales = torch.tensor([1.0, 0.3, 65536.0])
    losses, back = stack_losses(functions)(logits, targets)
    gradient = back(scales)
    for number, function in enumerate(functions):
        own = logits[number].clone().requires_grad_()
        loss = function(own, targets[number])
        loss.backward(scales[number])
        assert torch.equal(losses[number], loss)
        assert torch.equal(gradient[number], own.grad)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh"])
@pytest.mark.parametrize("batch", [2, 7, 32])
@pytest.mark.parametrize("shared", [False, True])
def test_a_perceptron_equals_its_members_bit_for_bit(norm: str, activation: str, batch: int, shared: bool) -> None:
    members = [
        models(1, name="mlp", hidden_sizes=[16, 33], norm=norm, activation=activation, dropout=rate)[0]
        for rate in (0.0, 0.2, 0.5)
    ]
    twins = copy.deepcopy(members)
    inputs, targets = data(3, batch, shared=shared)
    expected = alone(twins, inputs, targets)
    outputs = stacked(members, inputs, targets)
    assert all(map(torch.equal, outputs, expected))
    assert differences(members, twins) == []
    for one, other in zip(members, twins, strict=True):
        assert all(map(torch.equal, one.buffers(), other.buffers()))


@pytest.mark.parametrize("model", CONFIGS)
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("shared", [False, True])
def test_every_model_agrees_with_its_members(model: str, rate: float, shared: bool) -> None:
    members = models(3, **CONFIGS[model], dropout=rate)
    twins = copy.deepcopy(members)
    inputs, targets = data(3, 16, shared=shared)
    expected = alone(twins, inputs, targets)
    outputs = stacked(members, inputs, targets)
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    for one, other in zip(members, twins, strict=True):
        for parameter, twin in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-3, atol=1e-5)
        for buffer, twin in zip(one.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(buffer, twin)


class Count(TorchDispatchMode):
    """Counts the kernels that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[str(function)] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("model", CONFIGS)
def test_autocast_reaches_every_layer(model: str) -> None:
    members = models(3, **CONFIGS[model])
    twins = copy.deepcopy(members)
    inputs, targets = data(3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        expected = alone(twins, inputs, targets)
        outputs = stacked(members, inputs, targets)
    assert all(output.dtype is torch.bfloat16 for output in outputs)
    torch.testing.assert_close(outputs, expected, rtol=0.05, atol=0.05)
    for one, other in zip(members, twins, strict=True):
        for parameter, twin in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, twin.grad, rtol=0.1, atol=0.02)


def kernels(model: str, count: int, step: Callable[[StackedModel, Tensor], object]) -> Counter[str]:
    members = models(count, **CONFIGS[model])
    inputs, _ = data(count, 16)
    with StackedModel(members, streams(count)) as stack:
        pixels = torch.stack(inputs)
        with Count() as counter:
            step(stack, pixels)
    return counter.calls


@pytest.mark.parametrize("model", BATCHED)
def test_a_step_calls_as_many_kernels_for_eight_members_as_for_two(model: str) -> None:
    def step(stack: StackedModel, pixels: Tensor) -> None:
        stack.backward(torch.ones_like(stack.forward(pixels)))

    assert kernels(model, 2, step) == kernels(model, 8, step)


@pytest.mark.parametrize("model", BATCHED)
def test_the_layers_call_as_many_kernels_for_eight_members_as_for_two(model: str) -> None:
    def step(stack: StackedModel, pixels: Tensor) -> None:
        layers: Callable[[Tensor], Tensor] = stack._layer
        layers(pixels).sum().backward()

    assert kernels(model, 2, step) == kernels(model, 8, step)


def test_members_are_views_until_they_are_released() -> None:
    members = models(2, **CONFIGS["mlp"])
    inputs, _ = data(2, 4)
    with StackedModel(members, streams(2)) as stack, torch.no_grad():
        for parameter in members[1].parameters():
            parameter.zero_()
        first, second = stack.forward(torch.stack(inputs))
        assert first.abs().sum() > 0
        assert second.abs().sum() == 0
    for one, other in zip(members[0].parameters(), members[1].parameters(), strict=True):
        assert one.untyped_storage().data_ptr() != other.untyped_storage().data_ptr()
        assert one.is_contiguous()


def test_a_failed_step_can_be_taken_back() -> None:
    members = models(2, name="mlp", hidden_sizes=[16], norm="batch", dropout=0.5)
    inputs, _ = data(2, 4)
    with StackedModel(members, streams(2)) as stack:
        memory = stack.remember()
        first = [output.detach().clone() for output in stack.forward(torch.stack(inputs))]
        memory.restore()
        again = stack.forward(torch.stack(inputs))
        assert all(map(torch.equal, first, again))
        assert {int(buffer) for buffer in members[0].buffers() if buffer.dtype is torch.int64} == {1}


def test_a_model_without_rules_cannot_be_stacked() -> None:
    class Own(nn.Module):
        pass

    assert can_stack(models(1, **CONFIGS["cnn"])[0])
    assert not can_stack(Own())
    assert not can_stack(nn.Sequential(nn.Flatten(), Own()))
    with pytest.raises(LookupError, match="no rule to stack Own"):
        StackedModel([Own(), Own()], streams(2))
