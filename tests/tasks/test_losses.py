import math

import pytest
import torch
from torch import Tensor

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Huber,
    LossConfig,
    MeanSquaredError,
)
from modelyard.tasks.losses import LOSSES, build_loss
from modelyard.tasks.targets import probabilities

COUNTS = (6, 2, 4)
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.3, 0.2, -2.0], [-1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
TARGETS = torch.tensor([0, 1, 1, 2])


@pytest.mark.parametrize("config", [config() for config in LOSSES.entries()], ids=lambda config: config.name)
def test_one_hot_targets_equal_class_numbers(config: LossConfig) -> None:
    for extra in ({}, {"class_weights": (1.0, 2.0, 0.5)}):
        if extra and "class_weights" not in type(config).model_fields:
            continue
        loss = build_loss(config.model_copy(update=extra), class_counts=COUNTS)
        assert loss(LOGITS, TARGETS).item() == pytest.approx(loss(LOGITS, probabilities(TARGETS, 3)).item(), rel=1e-6)


@pytest.mark.parametrize("config", [config() for config in LOSSES.entries()], ids=lambda config: config.name)
def test_a_few_steps_reduce_every_loss(config: LossConfig) -> None:
    loss = build_loss(config, class_counts=COUNTS)
    logits = LOGITS.clone().requires_grad_()
    optimizer = torch.optim.SGD([logits], lr=0.5)
    values = []
    for _ in range(10):
        optimizer.zero_grad()
        value: Tensor = loss(logits, TARGETS)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("config", [config() for config in LOSSES.entries()], ids=lambda config: config.name)
def test_half_precision_logits_give_an_fp32_loss(config: LossConfig) -> None:
    value = build_loss(config, class_counts=COUNTS)(LOGITS.half(), TARGETS)
    assert value.dtype == torch.float32
    assert value.shape == ()


def test_cross_entropy_by_hand() -> None:
    loss = build_loss(CrossEntropy(), class_counts=(1, 1))
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    assert loss(torch.tensor([[2.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])).item() == pytest.approx(expected)


def test_focal_by_hand() -> None:
    logits = torch.tensor([[math.log(0.8), math.log(0.2)]])
    value = build_loss(Focal(gamma=2.0), class_counts=(1, 1))(logits, torch.tensor([0]))
    assert value.item() == pytest.approx(0.2**2 * -math.log(0.8), rel=1e-5)


def test_focal_with_gamma_0_is_cross_entropy() -> None:
    focal = build_loss(Focal(gamma=0.0), class_counts=COUNTS)
    assert focal(LOGITS, TARGETS).item() == pytest.approx(
        build_loss(CrossEntropy(), class_counts=COUNTS)(LOGITS, TARGETS).item()
    )


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
def test_focal_has_a_finite_slope_on_a_certain_sample(gamma: float) -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    build_loss(Focal(gamma=gamma), class_counts=(1, 1))(logits, torch.tensor([0])).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_bce_mse_and_huber_by_hand() -> None:
    logits, target = torch.tensor([[0.0, 0.0]]), torch.tensor([0])
    for config, expected in (
        (BinaryCrossEntropy(), math.log(2)),
        (MeanSquaredError(), 0.25),
        (Huber(delta=1.0), 0.125),
        (Huber(delta=0.1), 0.1 * (0.5 - 0.05)),
    ):
        assert build_loss(config, class_counts=(1, 1))(logits, target).item() == pytest.approx(expected)


def test_balanced_weights_are_inverse_to_the_counts() -> None:
    weighted = build_loss(CrossEntropy(class_weights="balanced"), class_counts=COUNTS)
    plain = build_loss(CrossEntropy(), class_counts=COUNTS)
    for label, count in enumerate(COUNTS):
        target = torch.tensor([label])
        expected = plain(LOGITS[:1], target).item() * 12 / (3 * count)
        assert weighted(LOGITS[:1], target).item() == pytest.approx(expected)


def test_weighted_micro_batches_add_up_to_the_whole_batch() -> None:
    loss = build_loss(CrossEntropy(class_weights=(1.0, 5.0, 2.0)), class_counts=COUNTS)
    parts = (loss(LOGITS[:1], TARGETS[:1]) + 3 * loss(LOGITS[1:], TARGETS[1:])) / 4
    assert loss(LOGITS, TARGETS).item() == pytest.approx(parts.item())


@pytest.mark.parametrize(
    ("weights", "counts", "message"),
    [
        ((1.0, 2.0), COUNTS, r"loss\.class_weights: 2 weights for 3 classes; give 3"),
        ("balanced", (3, 0, 2), r"loss\.class_weights: class number 1 has no training samples"),
        ((0.0, 0.0, 0.0), COUNTS, r"loss\.class_weights: every weight is 0"),
    ],
)
def test_class_weights_that_do_not_fit(weights: object, counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_loss(CrossEntropy.model_validate({"class_weights": weights}), class_counts=counts)
