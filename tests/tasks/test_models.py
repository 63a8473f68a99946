import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import Cnn, Mlp, ModelConfig, ResNet, Vit
from modelyard.tasks.models import build_model, model_metadata, model_preprocessing, rebuild_model

OWN: list[ModelConfig] = [
    Mlp(),
    Mlp(hidden_sizes=(), dropout=0.5),
    Mlp(norm="batch", activation="gelu"),
    Cnn(),
    ResNet(),
    ResNet(channels=(8, 16), blocks=(2, 1), dropout=0.3),
    Vit(),
    Vit(dropout=0.1, mlp_ratio=0.5),
]
CLASSES = ("a", "b", "c")


def built(config: ModelConfig, *, size: int = 8, channels: int = 1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(config, image_size=size, channels=channels, classes=CLASSES)


@pytest.mark.parametrize("config", OWN, ids=lambda config: config.name)
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3)])
def test_pixels_to_logits_and_a_few_steps_reduce_the_loss(config: ModelConfig, size: int, channels: int) -> None:
    model = built(config, size=size, channels=channels)
    pixels = torch.randn(12, channels, size, size, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(12) % 3
    assert model(pixels).shape == (12, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss: Tensor = nn.functional.cross_entropy(model(pixels), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert all(parameter.grad is not None for parameter in model.parameters()), "a parameter that nothing uses"


@pytest.mark.parametrize("config", OWN, ids=lambda config: config.name)
def test_the_seed_alone_decides_the_weights(config: ModelConfig) -> None:
    def values(seed: int) -> Tensor:
        return torch.cat([value.flatten() for value in built(config, seed=seed).parameters()])

    assert torch.equal(values(1), values(1))
    assert not torch.equal(values(1), values(2))


@pytest.mark.parametrize("config", OWN, ids=lambda config: config.name)
def test_deterministic_mode_and_copies_work(config: ModelConfig) -> None:
    model = copy.deepcopy(built(config))
    torch.use_deterministic_algorithms(True)
    try:
        model(torch.randn(4, 1, 8, 8)).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("config", OWN, ids=lambda config: config.name)
def test_a_rebuilt_model_gives_the_same_logits(config: ModelConfig) -> None:
    model = built(config).eval()
    state = torch.get_rng_state()
    again = rebuild_model(config, image_size=8, channels=1, classes=CLASSES, metadata=model_metadata(model))
    assert torch.equal(torch.get_rng_state(), state)
    assert not again.training
    again.load_state_dict(model.state_dict())
    pixels = torch.randn(4, 1, 8, 8)
    assert torch.equal(model(pixels), again(pixels))


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        (Vit(patch_size=3), 8, r"model\.patch_size: 3 does not divide the image size 8; use one of 1, 2, 4, 8"),
        (
            Cnn(channels=(4, 4, 4, 4)),
            8,
            r"model\.channels: 4 blocks .* use at most 3 blocks, or a larger",
        ),
        (ResNet(channels=(4,) * 5, blocks=(1,) * 5), 8, r"model\.channels: 5 stages .* use at most 4 stages"),
    ],
)
def test_what_does_not_fit_names_field_and_fix(config: ModelConfig, size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(config, size=size)


@pytest.mark.parametrize(
    ("config", "size"), [(Cnn(channels=(4, 4, 4)), 8), (ResNet(channels=(4,) * 4, blocks=(1,) * 4), 8)]
)
def test_the_deepest_that_the_message_allows_works(config: Any, size: int) -> None:
    assert built(config, size=size)(torch.randn(2, 1, size, size)).shape == (2, 3)


def test_our_own_models_ask_for_no_preprocessing() -> None:
    assert model_preprocessing(Mlp()) is None


def test_mlp_layers() -> None:
    model = built(Mlp(hidden_sizes=(5, 7), norm="layer", activation="silu", dropout=0.1))
    kinds = [type(layer).__name__ for layer in model.children()]
    assert kinds == ["Flatten", *(["Linear", "LayerNorm", "SiLU", "Dropout"] * 2), "Linear"]


def test_vit_pays_attention_across_patches() -> None:
    model = built(Vit(layers=1)).eval()
    pixels = torch.zeros(1, 1, 8, 8, requires_grad=True)
    model(pixels)[0, 0].backward()
    assert pixels.grad is not None
    assert (pixels.grad != 0).all(), "every pixel reaches the class token"
