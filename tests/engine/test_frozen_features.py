"""What a frozen backbone makes of a sample is computed once for all runs and epochs, and changes no bit of a run."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForImageClassification,
    EfficientNetConfig,
    EfficientNetModel,
    PretrainedConfig,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTModel,
)

from modelyard.domain.config import RunSpec
from modelyard.domain.run import Run, RunState
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.engine.executors import Sliced, Solo, Stacked
from modelyard.engine.pool import SessionPool
from modelyard.engine.stack import Stack
from modelyard.engine.worker import work
from modelyard.store import Store
from modelyard.tasks.catalogue import task_for

SAMPLES, TEST_SAMPLES = 232, 36
"""Samples of all splits, and of one."""
BLANK = 1
"""The blank image by which a process finds where the head begins."""
TOLERANCE = {"fp32": 1e-5, "bf16": 0.02}
"""How far losses may be from those of features that were computed in other batches."""
BACKBONES: dict[str, tuple[PretrainedConfig, type[nn.Module]]] = {
    "vit": (
        ViTConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=8, patch_size=4
        ),
        ViTModel,
    ),
    "resnet": (
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_channels=3),
        ResNetModel,
    ),
    "efficientnet": (
        EfficientNetConfig(
            image_size=32,
            width_coefficient=0.25,
            depth_coefficient=0.1,
            hidden_dim=320,
            dropout_rate=0.3,
            pooling_type="mean",
        ),
        EfficientNetModel,
    ),
}

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
Heads = Callable[..., list[RunSpec]]
Passed = dict[type[nn.Module], int]


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Save a model with random weights; return its folder."""
    folders: dict[str, str] = {}

    def save(name: str) -> str:
        if name not in folders:
            folders[name] = str(tmp_path_factory.mktemp(name))
            torch.manual_seed(0)
            AutoModelForImageClassification.from_config(BACKBONES[name][0]).save_pretrained(folders[name])
        return folders[name]

    return save


@pytest.fixture
def heads(backbone: Callable[[str], str]) -> Callable[..., list[RunSpec]]:
    """Build configs of heads on one frozen backbone."""

    def build(
        name: str = "vit", *, count: int = 3, model: dict[str, Any] | None = None, **changes: Any
    ) -> list[RunSpec]:
        value: dict[str, Any] = {
            "data": {
                "source": "digits",
                "image_size": {"vit": 8, "resnet": 16, "efficientnet": 32}[name],
                "channels": 3,
                "max_per_class": 16,
                "val_fraction": 0.02,
                "test_fraction": 0.02,
            },
            "training": {"epochs": 3, "batch_size": 16, "log_every": 1, "checkpoint": {"every_steps": 7}},
            **changes,
        }
        value["model"] = {
            "name": "huggingface",
            "model": backbone(name),
            "freeze_backbone": True,
            **(model or {}),
        }
        rates = [0.001 * 3**number for number in range(count)]
        return [
            RunSpec.model_validate({**value, "optimizer": {"name": "adamw", "learning_rate": rate}}) for rate in rates
        ]

    return build


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> dict[type[nn.Module], int]:
    """Count the samples that pass through each backbone."""
    counts: dict[type[nn.Module], int] = dict.fromkeys((kind for _, kind in BACKBONES.values()), 0)
    for kind in counts:
        forward = kind.forward

        def counted(self: nn.Module, pixel_values: Any = None, *args: Any, forward: Any = forward, **more: Any) -> Any:
            counts[type(self)] += len(pixel_values)
            return forward(self, pixel_values, *args, **more)

        monkeypatch.setattr(kind, "forward", counted)
    return counts


def lines(store: Store, run: Run) -> str:
    return "\n".join(line.text for line in store.logs.read(run.id))


def everything_done(runs: list[Run]) -> bool:
    assert all(run.state is RunState.COMPLETED for run in runs), [run.reason for run in runs]
    return True


@pytest.mark.parametrize("executor", [Sliced(chunk_seconds=0.01), Stacked()])
@pytest.mark.parametrize("name", BACKBONES)
def test_each_sample_passes_the_backbone_once_for_all_runs_and_epochs(
    name: str, executor: Any, heads: Heads, train: Train, outcome: Outcome, passed: Passed, store: Store
) -> None:
    kind = BACKBONES[name][1]
    runs = train(heads(name), executor=executor, slots=3)
    assert everything_done(runs)
    assert passed[kind] == SAMPLES + BLANK
    assert f"what it makes of {SAMPLES} samples is computed once" in lines(store, runs[0])
    assert f"those of {SAMPLES} samples were computed" in lines(store, runs[0])
    again = train(heads(name))  # one after the other, and from the disk
    assert passed[kind] == SAMPLES + 4 * BLANK
    assert "those of 0 samples were computed" in lines(store, again[0])
    for one, other in zip(runs, again, strict=True):
        assert outcome(other) == outcome(one)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", BACKBONES)
def test_heads_end_as_if_the_backbone_were_computed_in_every_step(
    name: str, precision: str, heads: Heads, train: Train, outcome: Outcome, passed: Passed
) -> None:
    training = {"epochs": 3, "batch_size": 16, "log_every": 1, "precision": precision, "ema": {"decay": 0.9}}
    shared = train(heads(name, training=training))
    before = passed[BACKBONES[name][1]]
    plain = train(heads(name, training=training, model={"cache_features": False}))
    assert passed[BACKBONES[name][1]] > before + 5 * SAMPLES
    assert everything_done([*shared, *plain])
    for one, other in zip(map(outcome, shared), map(outcome, plain), strict=True):
        assert one["step"] == other["step"]
        for metric in ("train_loss", "val_loss", "test_loss"):
            assert one["metrics"][metric][0] == other["metrics"][metric][0]
            assert one["metrics"][metric][1] == pytest.approx(other["metrics"][metric][1], rel=TOLERANCE[precision])


@pytest.mark.parametrize("cache_mebibytes", [0, 1])
def test_where_features_are_kept_changes_no_bit(
    cache_mebibytes: int, heads: Heads, train: Train, outcome: Outcome, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    alone = train(heads())
    shutil.rmtree(store.home.features)
    if cache_mebibytes:
        monkeypatch.setenv("MODELYARD_FEATURE_BYTES", "0")  # in memory alone
    specs = heads()
    data = specs[0].data.model_copy(update={"cache_mebibytes": cache_mebibytes})
    other = train([spec.model_copy(update={"data": data}) for spec in specs], executor=Stacked(), slots=3)
    assert store.home.features.exists() is not bool(cache_mebibytes)
    for one, two in zip(map(outcome, alone), map(outcome, other), strict=True):
        assert one["metrics"] == two["metrics"]
        assert one["files"]["model.safetensors"] == two["files"]["model.safetensors"]


def test_no_room_at_all_computes_the_backbone_in_every_step(
    heads: Heads, train: Train, passed: Passed, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setenv("MODELYARD_FEATURE_BYTES", "0")
    data = {"source": "digits", "channels": 3, "max_per_class": 16, "cache_mebibytes": 0}
    (run,) = train(heads(count=1, data=data))
    assert everything_done([run])
    assert passed[ViTModel] > 2 * SAMPLES
    assert "computed in every step" in lines(store, run)


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": [{"name": "noise"}]},
        {"model": {"freeze_backbone": False}},
        {"model": {"unfreeze_last": 1}},
        {"model": {"cache_features": False}},
    ],
)
def test_what_changes_in_training_is_not_computed_once(
    changes: dict[str, Any], heads: Heads, train: Train, passed: Passed, store: Store
) -> None:
    (run,) = train(heads(count=1, **changes))
    assert everything_done([run])
    assert passed[ViTModel] > 2 * SAMPLES
    assert "backbone" not in lines(store, run)
    assert not store.home.features.exists()


def test_damaged_blocks_are_computed_again(
    heads: Heads, train: Train, outcome: Outcome, passed: Passed, store: Store
) -> None:
    (before,) = train(heads(count=1))
    (folder,) = store.home.features.iterdir()
    with (folder / "train.rows").open("r+b") as file:
        file.seek(40 * 64)  # in the second block
        file.write(b"other")
    with (folder / "test.digests").open("r+b") as file:
        file.truncate(0)
    passed[ViTModel] = 0
    (run,) = train(heads(count=1))
    assert passed[ViTModel] == BLANK + 32 + TEST_SAMPLES
    assert outcome(run) == outcome(before)
    passed[ViTModel] = 0
    train(heads(count=1))
    assert passed[ViTModel] == BLANK


def test_heads_of_one_backbone_train_as_one_model(
    heads: Heads, train: Train, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    backward = Stack.backward

    def counted(stack: Stack, steps: Any) -> None:
        sizes.append(len(steps))
        backward(stack, steps)

    monkeypatch.setattr(Stack, "backward", counted)
    specs = [*heads("efficientnet"), *heads("efficientnet", count=1, augment=[{"name": "noise"}])]
    alone = train(specs)
    together = train(specs, executor=Stacked(), slots=4)
    assert max(sizes) == 3  # the one that augments gets pixels
    for one, other in zip(alone, together, strict=True):
        assert outcome(other) == outcome(one)


def test_heads_that_are_paused_and_resumed_without_the_cache_end_the_same(
    heads: Heads, train: Train, outcome: Outcome, store: Store, interrupt: Callable[[int], None], submit: Any
) -> None:
    (alone,) = train(heads(count=1))
    (run,) = submit(heads(count=1))
    for steps in (4, 11, 20):
        interrupt(steps)
        shutil.rmtree(store.home.features)
    interrupt(30)
    assert outcome(store.runs.get(run.id))["metrics"]["train_loss"] == outcome(alone)["metrics"]["train_loss"]
    last = (store.checkpoints.find(one.id, "last").files["model.safetensors"] for one in (alone, run))
    assert len(set(last)) == 1


def test_random_pauses_change_nothing(
    heads: Heads, train: Train, outcome: Outcome, pause_at_random: Callable[..., tuple[list[Run], int]]
) -> None:
    alone = train(heads())
    runs, pauses = pause_at_random(heads(), Sliced(chunk_seconds=0.0), chance=0.2)
    assert pauses >= len(runs)
    for one, other in zip(alone, runs, strict=True):
        assert outcome(other) == outcome(one)


@pytest.mark.long
def test_kills_change_nothing(
    heads: Heads, train: Train, outcome: Outcome, kill_at_random: Callable[..., list[Run]]
) -> None:
    training = {"epochs": 60, "batch_size": 16, "checkpoint": {"every_steps": 3}}
    specs = heads(count=2, training=training)
    alone = train(specs)
    for one, other in zip(alone, kill_at_random(specs, kills=2), strict=True):
        assert other.attempt == 3
        assert outcome(other) == outcome(one)


def test_a_clone_can_thaw_the_backbone_and_predictions_need_no_cache(
    heads: Heads, train: Train, store: Store, make_pool: Callable[..., SessionPool]
) -> None:
    (parent,) = train(heads(count=1))
    checkpoint = store.checkpoints.find(parent.id, "last")
    spec = heads(count=1, model={"freeze_backbone": False})[0]
    clone = store.runs.clone(parent.id, spec, warm_start=checkpoint.id, inherit_optimizer=False, actor="test")
    work(make_pool(), Solo(), idle_seconds=0.0)
    assert everything_done([store.runs.get(clone.id)])
    files = CheckpointFiles(store.blobs)
    before, after = (files.load(store.checkpoints.find(run.id, "last")).weights for run in (parent, clone))
    assert before.keys() == after.keys()
    key = next(name for name in before if "fc1.weight" in name or "intermediate.dense.weight" in name)
    assert not torch.equal(before[key], after[key])
    shutil.rmtree(store.home.features)
    loaded = files.load(checkpoint)
    predictor = task_for(parent.spec).predictor(parent.spec, loaded.index["metadata"], loaded.weights)
    assert predictor is not None
