"""Every part of the domain unions has a builder, and every field of every part changes what is built."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from modelyard.domain.parts import augmentations as augment_configs
from modelyard.domain.parts import losses as loss_configs
from modelyard.domain.parts import metrics as metric_configs
from modelyard.domain.parts import models as model_configs
from modelyard.domain.parts import optimizers as optimizer_configs
from modelyard.domain.parts import schedules as schedule_configs
from modelyard.tasks.augmentations import AUGMENTATIONS, build_augmenter
from modelyard.tasks.losses import LOSSES, build_loss
from modelyard.tasks.metrics import METRICS, build_metrics
from modelyard.tasks.models import MODELS, build_model
from modelyard.tasks.optimizers import OPTIMIZERS, build_optimizer
from modelyard.tasks.registry import Registry
from modelyard.tasks.schedules import SCHEDULES, factor

UNIONS: list[tuple[Registry[Any, Any], Any]] = [
    (LOSSES, loss_configs.LossConfig),
    (OPTIMIZERS, optimizer_configs.OptimizerConfig),
    (SCHEDULES, schedule_configs.ScheduleConfig),
    (AUGMENTATIONS, augment_configs.Augmentation),
    (METRICS, metric_configs.MetricConfig),
    (MODELS, model_configs.ModelConfig),
]


@pytest.mark.parametrize(("registry", "union"), UNIONS, ids=lambda value: getattr(value, "kind", ""))
def test_every_config_of_the_union_has_exactly_one_builder(registry: Registry[Any, Any], union: Any) -> None:
    classes = get_args(get_args(union)[0])
    assert len(classes) > 2
    assert set(registry.entries()) == set(classes)


def test_a_second_builder_is_refused() -> None:
    with pytest.raises(AssertionError, match="has a builder already"):
        LOSSES.register(loss_configs.Huber)


def of_loss(config: Any) -> Any:
    loss = build_loss(config, class_counts=(3, 5, 2))
    logits = torch.tensor([[2.0, -1.0, 0.3], [0.1, 0.2, -3.0], [4.0, 0.0, 1.0]])
    return loss(logits, torch.tensor([0, 2, 1])).item()


def of_optimizer(config: Any) -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 3))
    optimizer = build_optimizer(config, model)
    inputs, targets = torch.randn(8, 4), torch.arange(8) % 3
    for _ in range(4):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def of_schedule(config: Any) -> Any:
    return [factor(config, step, 40) for step in range(41)]


def of_augmentation(config: Any) -> Any:
    images = torch.rand(16, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    augmenter = build_augmenter((config,), seed=0)
    assert augmenter is not None
    changed, _ = augmenter(images, torch.arange(16) % 3, classes=3, epoch=0, samples=torch.arange(16))
    return changed


def of_metric(config: Any) -> Any:
    metrics = build_metrics((config,), classes=("a", "b", "c", "d"))
    logits = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    metrics.update(logits, torch.arange(40) % 4 * (torch.arange(40) % 3 > 0))
    return metrics.compute(), metrics.artifacts()


def of_model(config: Any) -> Any:
    torch.manual_seed(0)
    model = build_model(config, image_size=8, channels=1, classes=("a", "b", "c"))
    return model(torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))).detach()


def fields_of(union: Any) -> dict[tuple[str, str], type[BaseModel]]:
    classes = get_args(get_args(union)[0])
    return {
        (config.__name__, field): config
        for config in classes
        for field, info in config.model_fields.items()
        if field != "name" or len(get_args(info.annotation)) > 1
    }


WEIGHTS = {"class_weights": "balanced"}
MOMENTS = {"learning_rate": 0.05, "weight_decay": 0.3, "decay_norm_and_bias": True}
CASES: dict[Callable[[Any], Any], dict[str, dict[str, Any]]] = {
    of_loss: {
        "CrossEntropy": {"label_smoothing": 0.1, **WEIGHTS},
        "Focal": {"gamma": 0.5, **WEIGHTS},
        "BinaryCrossEntropy": {"label_smoothing": 0.1, **WEIGHTS},
        "MeanSquaredError": {},
        "Huber": {"delta": 0.2},
    },
    of_optimizer: {
        "Sgd": {**MOMENTS, "momentum": 0.5, "nesterov": True},
        "Adam": {**MOMENTS, "betas": (0.5, 0.9), "eps": 0.1},
        "AdamW": {**MOMENTS, "betas": (0.5, 0.9), "eps": 0.1},
        "RmsProp": {**MOMENTS, "alpha": 0.5, "momentum": 0.5, "eps": 0.1},
        "Lion": {**MOMENTS, "betas": (0.1, 0.2)},
        "Muon": {**MOMENTS, "momentum": 0.5, "nesterov": False, "steps": 2, "adamw_factor": 0.5},
    },
    of_schedule: {
        "Constant": {},
        "Step": {"every": 0.2, "gamma": 0.5},
        "Exponential": {"final": 0.5},
        "Cosine": {"final": 0.5},
        "WarmupCosine": {"warmup": 0.5, "final": 0.5},
        "OneCycle": {"rise": 0.5, "start": 0.5, "final": 0.1},
    },
    of_augmentation: {
        "HorizontalFlip": {"probability": 1.0},
        "VerticalFlip": {"probability": 1.0},
        "Rotation": {"probability": 1.0, "degrees": 90.0},
        "Affine": {"probability": 1.0, "degrees": 90.0, "translate": 0.5, "scale": 0.5, "shear": 30.0},
        "Perspective": {"probability": 1.0, "distortion": 0.8},
        "ColorJitter": {"probability": 0.3, "brightness": 0.9, "contrast": 0.9, "saturation": 0.9, "hue": 0.4},
        "Blur": {"probability": 1.0, "kernel_size": 7, "sigma": 4.0},
        "Noise": {"probability": 1.0, "std": 0.3},
        "Erasing": {"probability": 1.0, "area": 0.9},
        "Mixup": {"probability": 0.4, "alpha": 3.0},
        "CutMix": {"probability": 0.4, "alpha": 9.0},
    },
    of_metric: {
        "TopK": {"k": 2},
        "Precision": {"name": "precision_micro"},
        "Recall": {"name": "recall_micro"},
        "F1": {"name": "f1_micro"},
    },
    of_model: {
        "Mlp": {"hidden_sizes": (9,), "activation": "tanh", "norm": "layer", "dropout": 0.5},
        "Cnn": {"channels": (4,), "hidden_size": 9, "dropout": 0.5},
        "ResNet": {"channels": (4, 4, 4), "blocks": (2, 1, 1), "dropout": 0.5},
        "Vit": {"patch_size": 2, "hidden_size": 32, "layers": 1, "heads": 2, "mlp_ratio": 1.0, "dropout": 0.5},
    },
}
BASES = {
    "decay_norm_and_bias": {"weight_decay": 0.3},
    "weight_decay": {"learning_rate": 0.05},
    "betas": {"learning_rate": 0.05},
}
"""Other fields that must be set for a field to matter."""


def all_cases() -> list[Any]:
    classes = {name: config for _, union in UNIONS for (name, _), config in fields_of(union).items()}
    return [
        pytest.param(observe, classes[name], field, value, id=f"{name}.{field}")
        for observe, parts in CASES.items()
        for name, changes in parts.items()
        for field, value in changes.items()
    ]


@pytest.mark.parametrize(("observe", "config", "field", "value"), all_cases())
def test_field_changes_behaviour(
    observe: Callable[[Any], Any], config: type[BaseModel], field: str, value: Any
) -> None:
    base = BASES.get(field, {})
    before = observe(config(**base))
    again = observe(config(**base))
    after = observe(config(**base, **{field: value}))
    assert same(before, again), "the same config must give the same result"
    assert not same(before, after), f"{config.__name__}.{field} changes nothing"


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    return bool(left == right)


def test_every_field_has_a_case() -> None:
    tested = {(name, field) for parts in CASES.values() for name, changes in parts.items() for field in changes}
    fields = {key for _, union in UNIONS for key in fields_of(union)}
    # The fields of HuggingFace are in test_huggingface_model.py.
    assert {key for key in fields - tested if key[0] != "HuggingFace"} == set()
