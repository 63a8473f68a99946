"""Hugging Face models from tiny local folders; nothing is downloaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import AutoConfig, AutoModelForImageClassification, ResNetConfig, ViTConfig

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import HuggingFace
from modelyard.domain.parts.optimizers import AdamW, Muon
from modelyard.tasks.base import SplitName
from modelyard.tasks.catalogue import task_for
from modelyard.tasks.image_classification.normalizer import Normalizer
from modelyard.tasks.models import build_model, model_metadata, model_preprocessing, rebuild_model
from modelyard.tasks.optimizers import build_optimizer
from modelyard.tasks.preprocessing import Preprocessing, load_image

CLASSES = ("ant", "bee", "cat", "dog", "eel")


def save(folder: Path, config: Any, seed: int = 0) -> str:
    torch.manual_seed(seed)
    AutoModelForImageClassification.from_config(config).save_pretrained(folder)
    processor = {"size": {"height": 8, "width": 8}, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return str(folder)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, image_size=8, patch_size=4
    )
    return save(tmp_path_factory.mktemp("vit"), config)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return save(tmp_path_factory.mktemp("resnet"), config)


def built(config: HuggingFace, *, size: int = 8, channels: int = 3, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build_model(config, image_size=size, channels=channels, classes=CLASSES)


def trained_names(model: nn.Module) -> set[str]:
    return {name.removeprefix("model.") for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_pretrained_weights_with_a_new_head(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    model = built(HuggingFace(model=folder))
    published = AutoModelForImageClassification.from_pretrained(folder).state_dict()
    own = model.model.state_dict()
    assert own.keys() == published.keys()
    for key, value in published.items():
        assert key.startswith("classifier") or torch.equal(own[key], value)
    assert model(torch.rand(2, 3, 8, 8)).shape == (2, 5)
    assert model.model.config.id2label == dict(enumerate(CLASSES))
    assert model.model.config.label2id == {label: number for number, label in enumerate(CLASSES)}


@pytest.mark.parametrize("name", ["vit", "resnet"])
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_few_steps_reduce_the_loss(name: str, pretrained: bool, request: pytest.FixtureRequest) -> None:
    model = built(HuggingFace(model=request.getfixturevalue(name), pretrained=pretrained))
    optimizer = build_optimizer(AdamW(learning_rate=0.01), model)
    pixels = torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    losses = []
    model.train()
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pixels), torch.arange(10) % 5)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_the_seed_decides_the_head_and_random_weights(vit: str) -> None:
    for config in (HuggingFace(model=vit), HuggingFace(model=vit, pretrained=False)):
        one, same, other = (built(config, seed=seed).model.classifier.weight for seed in (1, 1, 2))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
    key = "vit.embeddings.patch_embeddings.projection.weight"
    scratch = built(HuggingFace(model=vit, pretrained=False), seed=7).model.state_dict()
    assert not torch.equal(scratch[key], built(HuggingFace(model=vit)).model.state_dict()[key])


def test_frozen_backbone_trains_the_head_alone(vit: str, resnet: str) -> None:
    assert trained_names(built(HuggingFace(model=vit, freeze_backbone=True))) == {
        "classifier.weight",
        "classifier.bias",
    }
    model = built(HuggingFace(model=resnet, freeze_backbone=True))
    assert {name.split(".")[0] for name in trained_names(model)} == {"classifier"}


def test_frozen_batch_norms_keep_their_statistics(resnet: str) -> None:
    model = built(HuggingFace(model=resnet, freeze_backbone=True))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    assert model.training
    model(torch.rand(4, 3, 8, 8))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    thawed = built(HuggingFace(model=resnet, freeze_backbone=True, unfreeze_last=1)).train()
    thawed(torch.rand(4, 3, 8, 8))
    changed = {name for name, value in thawed.state_dict().items() if not torch.equal(before[name], value)}
    assert changed
    assert all(".stages.1." in name for name in changed)


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_new_model_is_in_training_mode_but_for_its_frozen_part(vit: str, pretrained: bool) -> None:
    model = built(HuggingFace(model=vit, pretrained=pretrained, freeze_backbone=True, unfreeze_last=1))
    modes = {name: module.training for name, module in model.named_modules() if isinstance(module, nn.Dropout)}
    assert any(modes.values())
    assert {name for name, on in modes.items() if on} == {name for name in modes if ".2." in name}
    assert all(module.training for module in built(HuggingFace(model=vit, pretrained=pretrained)).modules())


@pytest.mark.parametrize(("count", "blocks"), [(1, {2}), (2, {1, 2}), (3, {0, 1, 2})])
def test_the_last_blocks_can_be_trained_too(vit: str, count: int, blocks: set[int]) -> None:
    names = trained_names(built(HuggingFace(model=vit, freeze_backbone=True, unfreeze_last=count)))
    inside = [name.split(".") for name in names if "classifier" not in name]
    numbers = {int(next(part for part in parts if part.isdigit())) for parts in inside}
    assert numbers == blocks
    assert not any("embeddings" in name for name in names)


def test_more_blocks_than_there_are(vit: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.unfreeze_last: 4 blocks, but the backbone has 3; use at most 3"):
        built(HuggingFace(model=vit, freeze_backbone=True, unfreeze_last=4))


def test_average_pooling_has_a_deterministic_gradient_and_gives_the_same(resnet: str) -> None:
    model = built(HuggingFace(model=resnet)).eval()
    assert not [module for module in model.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    published = AutoModelForImageClassification.from_pretrained(resnet).eval()
    pixels = torch.rand(2, 3, 32, 32)
    ours = model.model.resnet(pixels).pooler_output
    assert torch.allclose(ours, published.resnet(pixels).pooler_output, atol=1e-6)


def test_config_fields_can_be_overridden(vit: str) -> None:
    model = built(HuggingFace(model=vit, config={"hidden_dropout_prob": 0.5}))
    rates = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert 0.5 in rates
    scratch = built(HuggingFace(model=vit, pretrained=False, config={"num_hidden_layers": 1}))
    assert sum(value.numel() for value in scratch.parameters()) < sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"hidden_dropout_prop": 0.5}}, r"model\.config\.hidden_dropout_prop: .*'hidden_dropout_prob'"),
        ({"config": {"hidden_size": 32}}, r"model\.config: with hidden_size, \d+ pretrained weights do not fit"),
        ({"config": {"num_hidden_layers": 4}}, r"model\.config: with num_hidden_layers, \d+ pretrained weights do not"),
    ],
)
def test_wrong_overrides(vit: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(HuggingFace(model=vit, **changes))


def test_images_must_fit_a_pretrained_model(vit: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.image_size: the images have 12, .* trained with 8; set data\.image_"):
        built(HuggingFace(model=vit), size=12)
    with pytest.raises(ConfigError, match=r"data\.channels: the images have 1, .* trained with 3"):
        built(HuggingFace(model=vit), channels=1)
    scratch = built(HuggingFace(model=vit, pretrained=False), size=12, channels=1)
    assert scratch(torch.rand(2, 1, 12, 12)).shape == (2, 5)


def test_pickled_weights_are_refused_unread(vit: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((Path(vit) / "config.json").read_text())
    # Reading this file would fail in another way.
    (tmp_path / "pytorch_model.bin").write_bytes(b"not a pickle")
    with pytest.raises(ConfigError, match=r"model\.model: .* no safetensors file, and pickled weights .* never"):
        built(HuggingFace(model=str(tmp_path)))


def test_code_beside_a_model_is_never_run(vit: str, tmp_path: Path) -> None:
    config = json.loads((Path(vit) / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    with pytest.raises(ConfigError, match=r"model\.model: cannot load"):
        built(HuggingFace(model=str(tmp_path)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [None, "{", "[]", '{"model_type": "bert"}'])
def test_a_folder_that_is_no_image_model(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=r"model\.model: cannot load"):
        built(HuggingFace(model=str(tmp_path), pretrained=False))


def test_revision_is_passed_on(vit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    for owner in (AutoConfig, AutoModelForImageClassification):
        original = owner.from_pretrained

        def spy(*args: Any, original: Any = original, **options: Any) -> Any:
            asked.append(options["revision"])
            return original(*args, **options)

        monkeypatch.setattr(owner, "from_pretrained", spy)
    built(HuggingFace(model=vit, revision="v2"))
    assert asked == ["v2", "v2"]


def test_preprocessing_is_what_the_model_was_trained_on(vit: str, tmp_path: Path) -> None:
    wanted = model_preprocessing(HuggingFace(model=vit))
    assert wanted is not None
    assert wanted.to_json() == {"image_size": 8, "channels": 3, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    (tmp_path / "config.json").write_text((Path(vit) / "config.json").read_text())
    bare = model_preprocessing(HuggingFace(model=str(tmp_path)))
    assert bare is not None
    assert (bare.image_size, bare.mean) == (8, (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}, 32),
        ({"size": {"shortest_edge": 40}}, 40),
        ({"size": 24}, 24),
        ({}, 224),
    ],
)
def test_image_size_of_a_convolutional_model(
    resnet: str, tmp_path: Path, processor: dict[str, Any], expected: int
) -> None:
    (tmp_path / "config.json").write_text((Path(resnet) / "config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**processor, "do_normalize": False}))
    wanted = model_preprocessing(HuggingFace(model=str(tmp_path)))
    assert wanted is not None
    assert wanted.image_size == expected
    assert (wanted.mean, wanted.std) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_a_model_is_rebuilt_from_its_metadata_alone(name: str, request: pytest.FixtureRequest) -> None:
    config = HuggingFace(model=request.getfixturevalue(name))
    model = built(config).eval()
    metadata = json.loads(json.dumps(model_metadata(model)))
    elsewhere = HuggingFace(model="gone/away")
    again = rebuild_model(elsewhere, image_size=8, channels=3, classes=CLASSES, metadata=metadata)
    again.load_state_dict(model.state_dict())
    pixels = torch.rand(2, 3, 8, 8)
    assert torch.equal(model(pixels), again(pixels))


def test_tokens_and_norms_of_transformers_are_not_decayed(vit: str) -> None:
    model = built(HuggingFace(model=vit))
    optimizer = build_optimizer(AdamW(), model)
    decayed = {id(value) for group in optimizer.param_groups if group["decays"] for value in group["params"]}
    names = {name for name, value in model.named_parameters() if id(value) in decayed}
    assert all(name.endswith("weight") and "norm" not in name for name in names)
    assert any("fc1" in name or "dense" in name for name in names)
    assert not any("cls_token" in name or "position_embeddings" in name for name in names)
    muon = build_optimizer(Muon(), model)
    matrices = {id(value) for group in muon.param_groups if group["orthogonal"] for value in group["params"]}
    chosen = {name for name, value in model.named_parameters() if id(value) in matrices}
    assert chosen == names - {"model.classifier.weight"}


def test_a_checkpoint_predicts_after_its_model_folder_is_gone(vit: str, tmp_path: Path) -> None:
    folder = shutil.copytree(vit, tmp_path / "vit")
    spec = RunSpec.model_validate({"model": {"name": "huggingface", "model": str(folder)}})
    task = task_for(spec)
    data = task.open_data(spec)
    torch.manual_seed(0)
    problem = task.build(spec, data)
    optimizer = build_optimizer(AdamW(learning_rate=0.01), problem.model)
    inputs, targets = problem.training_inputs(data.batch(SplitName.TRAIN, np.arange(16)), epoch=0)
    problem.loss(problem.model.train()(inputs), targets).backward()
    optimizer.step()
    metadata, weights = json.loads(json.dumps(problem.metadata)), problem.model.state_dict()
    file = tmp_path / "digit.png"
    Image.fromarray(data.batch(SplitName.TEST, np.array([0])).inputs[0].permute(1, 2, 0).numpy()).save(file)
    expected = task.predictor(spec, metadata, weights).predict(file)

    shutil.rmtree(folder)
    restored = RunSpec.model_validate(spec.model_dump(mode="json"))
    before = torch.get_rng_state()
    assert task.predictor(restored, metadata, weights).predict(file) == expected
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        pixels = torch.from_numpy(load_image(file, Preprocessing.from_json(metadata["preprocessing"])))
        logits = problem.model.eval()(
            Normalizer(Preprocessing.from_json(metadata["preprocessing"])).from_bytes(pixels[None])
        )
    assert list(expected.values()) == pytest.approx(logits[0].softmax(0).tolist())
