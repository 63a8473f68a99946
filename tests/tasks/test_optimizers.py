import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor, nn

from modelyard.domain.parts.models import Vit
from modelyard.domain.parts.optimizers import AdamW, Lion, Muon, OptimizerConfig, Sgd
from modelyard.tasks.models import build_model
from modelyard.tasks.optimizers import OPTIMIZERS, build_optimizer, lean_step, set_hyperparameters
from modelyard.tasks.optimizers.muon import orthogonalise

CONFIGS: list[OptimizerConfig] = [
    *(config() for config in OPTIMIZERS.entries()),
    Sgd(momentum=0.0),
    Sgd(nesterov=True, weight_decay=0.1),
    Muon(nesterov=False),
]
BY_NAME = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)


def small_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 16), nn.Linear(16, 3)
    )


def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> float:
    generator = torch.Generator().manual_seed(number % 3)
    inputs = torch.randn(12, 1, 4, 4, generator=generator)
    targets = (inputs.mean(dim=(1, 2, 3)) > 0).long()
    optimizer.zero_grad()
    loss: Tensor = nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


def weights(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


@BY_NAME
def test_a_few_steps_reduce_the_loss(config: OptimizerConfig) -> None:
    model = small_model()
    optimizer = build_optimizer(config, model)
    losses = [step(model, optimizer, number) for number in range(30)]
    assert sum(losses[-3:]) < 0.96 * sum(losses[:3])


@BY_NAME
@settings(max_examples=6)
@given(before=st.integers(0, 4), after=st.integers(1, 4))
def test_a_loaded_state_goes_on_bit_for_bit(config: OptimizerConfig, before: int, after: int) -> None:
    model = small_model()
    optimizer = build_optimizer(config, model)
    for number in range(before):
        step(model, optimizer, number)
    copied = small_model()
    copied.load_state_dict(copy.deepcopy(model.state_dict()))
    loaded = build_optimizer(config, copied)
    loaded.load_state_dict(saved(optimizer.state_dict()))
    for number in range(before, before + after):
        step(model, optimizer, number)
        step(copied, loaded, number)
    assert all(map(torch.equal, weights(model), weights(copied)))


def saved(state: Any) -> Any:
    """What a checkpoint makes of a state: equal tensors at other addresses; tuples may come back as lists."""
    if isinstance(state, dict):
        return {key: saved(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [saved(value) for value in state]
    return state.clone() if isinstance(state, Tensor) else state


@BY_NAME
def test_nothing_depends_on_the_global_random_state(config: OptimizerConfig) -> None:
    model = small_model()
    optimizer = build_optimizer(config, model)
    torch.manual_seed(5)
    expected = torch.get_rng_state()
    step(model, optimizer, 0)
    assert torch.equal(torch.get_rng_state(), expected)


@BY_NAME
def test_steps_are_allowed_in_deterministic_mode(config: OptimizerConfig) -> None:
    model = small_model()
    optimizer = build_optimizer(config, model)
    torch.use_deterministic_algorithms(True)
    try:
        step(model, optimizer, 0)
    finally:
        torch.use_deterministic_algorithms(False)


@BY_NAME
def test_norms_and_biases_are_not_decayed(config: OptimizerConfig) -> None:
    model = small_model()
    optimizer = build_optimizer(config, model)
    decayed = {id(parameter) for group in optimizer.param_groups if group["decays"] for parameter in group["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in decayed}
    assert names == {"0.weight", "4.weight", "5.weight"}
    every = build_optimizer(config.model_copy(update={"decay_norm_and_bias": True}), model)
    assert all(group["decays"] for group in every.param_groups)
    assert count(every) == count(optimizer) == len(list(model.parameters()))


def count(optimizer: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in optimizer.param_groups)


def test_tokens_and_positions_are_not_decayed() -> None:
    model = build_model(Vit(layers=1), image_size=8, channels=1, classes=("a", "b"))
    optimizer = build_optimizer(AdamW(), model)
    exempt = {id(parameter) for group in optimizer.param_groups if not group["decays"] for parameter in group["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in exempt}
    assert {"class_token", "position_embeddings", "norm.weight", "blocks.0.norm1.bias", "head.bias"} <= names
    assert not {"patches.weight", "head.weight", "blocks.0.expand.weight"} & names


def test_frozen_parameters_are_left_out() -> None:
    model = small_model()
    model[0].requires_grad_(requires_grad=False)
    assert count(build_optimizer(AdamW(), model)) == 6


def test_hyperparameters_reach_the_groups_they_are_for() -> None:
    optimizer = build_optimizer(Muon(adamw_factor=0.1), small_model())
    set_hyperparameters(optimizer, learning_rate=0.5, weight_decay=0.2)
    for group in optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.5 if group["orthogonal"] else 0.05)
        assert group["weight_decay"] == (0.2 if group["decays"] else 0.0)


def test_a_weight_decay_set_later_takes_effect_at_once() -> None:
    model = small_model()
    optimizer = build_optimizer(Sgd(weight_decay=0.0), model)
    set_hyperparameters(optimizer, learning_rate=0.1, weight_decay=1.0)
    before = model[5].weight.clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(model[5].weight, before * 0.9)


def test_muon_takes_the_hidden_matrices_only() -> None:
    model = build_model(Vit(layers=1), image_size=8, channels=1, classes=("a", "b"))
    optimizer = build_optimizer(Muon(), model)
    chosen = {id(parameter) for group in optimizer.param_groups if group["orthogonal"] for parameter in group["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in chosen}
    assert names == {
        "patches.weight",
        "blocks.0.queries_keys_values.weight",
        "blocks.0.projection.weight",
        "blocks.0.expand.weight",
        "blocks.0.contract.weight",
    }


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 4, 20), (3, 20, 4)])
def test_orthogonalised_singular_values_are_near_1(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(matrices, steps=8)
    assert result.shape == matrices.shape
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.6
    assert values.max() < 1.3
    # The singular vectors stay: the result times the transposed original is symmetric and positive.
    product = result @ matrices.mT if shape[1] <= shape[2] else result.mT @ matrices
    assert torch.allclose(product, product.mT, atol=1e-3)
    assert torch.linalg.eigvalsh(product).min() > 0


def test_muon_first_step_by_hand() -> None:
    model = nn.Sequential(nn.Linear(2, 4, bias=False), nn.Linear(4, 2, bias=False))
    optimizer = build_optimizer(Muon(learning_rate=0.1, weight_decay=0.5, momentum=0.0, nesterov=False), model)
    hidden = model[0].weight
    before = hidden.detach().clone()
    gradient = torch.tensor([[1.0, 0], [0, 2], [3, 0], [0, 1]])
    hidden.grad = gradient.clone()
    optimizer.step()
    direction = orthogonalise(gradient.unsqueeze(0), 5)[0]
    assert torch.allclose(hidden, before * (1 - 0.1 * 0.5) - 0.1 * (4 / 2) ** 0.5 * direction, atol=1e-6)


def test_muon_treats_the_rest_as_adamw_does() -> None:
    model = nn.Sequential(nn.Linear(2, 2))  # the head alone
    muon = build_optimizer(Muon(learning_rate=0.1, weight_decay=0.3, adamw_factor=0.1), model)
    other = copy.deepcopy(model)
    adamw = torch.optim.AdamW(other.parameters(), lr=0.01, betas=(0.9, 0.95), eps=1e-10, fused=True)
    adamw.param_groups[0]["weight_decay"] = 0.3
    for number in range(3):
        for one, two in zip(model.parameters(), other.parameters(), strict=True):
            one.grad = torch.full_like(one, 0.3 + number)
            two.grad = one.grad.clone()
        muon.step()
        adamw.step()
    assert torch.allclose(model[0].weight, other[0].weight, atol=1e-7)
    assert not torch.allclose(model[0].bias, other[0].bias), "the bias is not decayed"


@BY_NAME
def test_a_first_step_that_overflows_leaves_nothing_behind(config: OptimizerConfig) -> None:
    model = small_model()
    optimizer = build_optimizer(config, model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-127)
    before = weights(model)
    torch.use_deterministic_algorithms(True)  # fills uninitialised memory with NaN
    try:
        overflowed = scaled_step(model, optimizer, scaler)
        assert all(map(torch.equal, before, weights(model)))
        finite = [scaled_step(model, optimizer, scaler) for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert not overflowed
    assert all(finite)
    reference = small_model()
    undisturbed = build_optimizer(config, reference)
    for _ in range(3):
        scaled_step(reference, undisturbed, torch.amp.GradScaler("cpu", init_scale=1.0))
    for one, two in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.equal(one, two)


def scaled_step(model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> bool:
    """Do a step on always the same batch; return whether its gradients were finite."""
    inputs = torch.randn(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    optimizer.zero_grad()
    loss = 4 * nn.functional.cross_entropy(model.eval()(inputs), torch.arange(12) % 3)
    scaler.scale(loss).backward()
    finite = all(
        bool(parameter.grad.isfinite().all()) for parameter in model.parameters() if parameter.grad is not None
    )
    scaler.step(optimizer)
    scaler.update()
    return finite


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_bit_for_bit_that_of_torch(nesterov: bool) -> None:
    config = Sgd(learning_rate=0.05, momentum=0.9, nesterov=nesterov, weight_decay=0.1, decay_norm_and_bias=True)
    model, reference = small_model(), small_model()
    optimizer = build_optimizer(config, model)
    theirs = torch.optim.SGD(
        reference.parameters(), lr=0.05, momentum=0.9, nesterov=nesterov, weight_decay=0.1, fused=True
    )
    for number in range(3):
        step(model, optimizer, number)
        step(reference, theirs, number)
        assert all(map(torch.equal, weights(model), weights(reference)))


def test_momentum_inherited_from_a_parent_without_starts_at_zero() -> None:
    model = small_model()
    optimizer = build_optimizer(Sgd(momentum=0.9), model)
    own = optimizer.state_dict()["param_groups"]
    parent = build_optimizer(Sgd(momentum=0.0), small_model())
    optimizer.load_state_dict({**parent.state_dict(), "param_groups": own})
    for parameter in model.parameters():
        assert torch.equal(optimizer.state[parameter]["momentum_buffer"], torch.zeros_like(parameter))


def test_lion_by_hand() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False))
    optimizer = build_optimizer(Lion(learning_rate=0.1, betas=(0.5, 0.9), weight_decay=0.2), model)
    weight = model[0].weight
    nn.init.constant_(weight, 1.0)
    # Momentum 0, 0.4, 0.26; update directions: sign of 2, then of 0.2 - 0.5, then of 0.13 + 0.05.
    expected = 1.0
    for gradient, direction in ((4.0, 1), (-1.0, -1), (0.1, 1)):
        weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        expected = expected * (1 - 0.1 * 0.2) - 0.1 * direction
        assert weight.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_lean_step_is_the_same_step(name: str, decay: float) -> None:
    def trained(lean: bool) -> tuple[list[Tensor], dict[str, Any]]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 3))
        config = TypeAdapter(OptimizerConfig).validate_python({"name": name, "weight_decay": decay})
        optimizer = build_optimizer(config, model)
        step = lean_step(optimizer) if lean else optimizer.step
        for number in range(8):
            if number == 4:
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            set_hyperparameters(optimizer, learning_rate=0.01 * (number + 1), weight_decay=decay)
            optimizer.zero_grad()
            used = model if number != 6 else model[2]  # in one step, most parameters have no gradient
            used(torch.randn(4, 5 if number != 6 else 7)).square().sum().backward()
            step()
        return list(model.parameters()), optimizer.state_dict()

    (one, state), (other, twin) = trained(lean=False), trained(lean=True)
    assert all(map(torch.equal, one, other))
    for number, values in state["state"].items():
        assert all(torch.equal(value, twin["state"][number][key]) for key, value in values.items())
