"""Members that train heads on one frozen backbone hold it once, and nobody can change it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageClassification, PretrainedConfig, ResNetConfig, ViTConfig

from modelyard.domain.config import RunSpec
from modelyard.domain.run import Run, RunState
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.engine.executors import Sliced
from modelyard.engine.pool import SessionPool
from modelyard.engine.progress import Unit
from modelyard.engine.residency import Placement, Residency
from modelyard.engine.session import Session
from modelyard.store import Store

CONFIGS: dict[str, PretrainedConfig] = {
    "vit": ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=8, patch_size=4
    ),
    "resnet": ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_channels=3),
}

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
Heads = Callable[..., list[RunSpec]]


@pytest.fixture
def heads(tmp_path: Path) -> Heads:
    """Build configs of heads, each with a seed of its own, on one frozen backbone."""

    def build(name: str = "vit", *, count: int = 3, model: dict[str, Any] | None = None) -> list[RunSpec]:
        folder = tmp_path / name
        if not folder.exists():
            torch.manual_seed(100)
            AutoModelForImageClassification.from_config(CONFIGS[name]).save_pretrained(folder)
        data = {"source": "digits", "image_size": {"vit": 8, "resnet": 16}[name], "channels": 3, "max_per_class": 12}
        training = {"epochs": 4, "batch_size": 16, "ema": {"decay": 0.9}, "checkpoint": {"every_steps": 7}}
        return [
            RunSpec.model_validate(
                {
                    "data": {**data, "val_fraction": 0.1, "test_fraction": 0.05},
                    "model": {"name": "huggingface", "model": str(folder), "freeze_backbone": True, **(model or {})},
                    "seed": seed,
                    "training": training,
                }
            )
            for seed in range(count)
        ]

    return build


def all_tensors(sessions: Sequence[Session]) -> Iterator[torch.Tensor]:
    """Yield every tensor that the sessions hold: of models, averages, optimizers and the best weights."""
    for session in sessions:
        learner = session.learner
        yield from learner.tensors()
        for model in (learner.model, learner.evaluated_model):
            yield from learner.weights(model).values()
        yield from (session._keeper.best_weights or {}).values()


def storages(tensors: Iterable[torch.Tensor]) -> dict[int, int]:
    return {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors if one.nbytes}


@pytest.mark.parametrize("name", CONFIGS)
def test_eight_members_hold_one_backbone(
    name: str, heads: Heads, make_pool: Callable[..., SessionPool], submit: Any, store: Store
) -> None:
    submit(heads(name, count=8))
    original: dict[str, torch.Tensor] = {}
    for epochs in (0, 2, 3):  # at the start, and resumed with the best weights so far
        pool = make_pool(slots=8)
        pool.fill()
        assert len(pool.sessions) == 8
        for session in pool.sessions:
            session.activate()
            while session.learner.progress.epoch < epochs or session.next_unit() is Unit.VALIDATE:
                session.advance()
            session.deactivate()
        weights = pool.sessions[0].learner.model.state_dict()
        frozen = {key: tensor for key, tensor in weights.items() if not key.startswith("model.classifier")}
        original = original or {key: tensor.clone() for key, tensor in frozen.items()}
        shared = storages(frozen.values())
        held = storages(all_tensors(pool.sessions))
        own = storages(tensor for session in pool.sessions for tensor in session.learner.tensors())
        assert shared.keys() <= held.keys()
        assert not shared.keys() & own.keys(), "nothing that trains or moves between tiers can reach the shared ones"
        small = sum(value.nbytes for key, value in weights.items() if key.startswith("model.classifier"))
        assert sum(held.values()) - sum(shared.values()) <= 8 * (5 * small + 64), "the rest is heads: 5 tensors of each"
        pool.release_all()
    for run in store.runs.list():
        files = CheckpointFiles(store.blobs).load(store.checkpoints.find(run.id, "last"))
        for saved in (files.weights, files.training_weights, files.best_weights):
            assert saved is not None
            assert all(torch.equal(saved[key], tensor) for key, tensor in original.items()), "saved, and unchanged"


def test_another_backbone_is_neither_shared_nor_loaded(
    heads: Heads, make_pool: Callable[..., SessionPool], submit: Any
) -> None:
    submit([*heads(count=1), *heads(count=1, model={"pretrained": False})])
    pool = make_pool(slots=2)
    pool.fill()
    one, other = (session.learner for session in pool.sessions)
    assert one.shared.parts[0] is not other.shared.parts[0]
    one.model.load_state_dict(one.weights(one.model))
    before = {name: tensor.clone() for name, tensor in one.weights(one.model).items()}
    with pytest.raises(ValueError, match="can only load its own backbone"):
        one.model.load_state_dict(other.weights(other.model))
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.weights(one.model).items())


def test_memory_counts_a_shared_backbone_once(heads: Heads, make_pool: Callable[..., SessionPool], submit: Any) -> None:
    submit(heads(count=8))
    limit, members = 10**9, []
    for _ in range(2):
        pool = make_pool(slots=8, residency=Residency(device_bytes=None, host_bytes=limit))
        pool.fill()
        members.append(len(pool.sessions))
        learner = pool.sessions[0].learner
        part, head = learner.shared.parts[0], Placement(learner, Path()).expected_bytes
        assert part.bytes(on_device=False) > 4 * head
        limit = part.bytes(on_device=False) + 4 * head
        pool.release_all()
    assert members == [8, 4]


def test_heads_that_are_moved_to_the_disk_and_back_end_the_same(
    heads: Heads, train: Train, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = train(heads())
    assert all(run.state is RunState.COMPLETED for run in alone)
    monkeypatch.setattr(Residency, "has_room", lambda _: True)
    nothing = Residency(device_bytes=None, host_bytes=0)
    together = train(heads(), executor=Sliced(chunk_seconds=0.0), slots=3, residency=nothing)
    assert [outcome(run) for run in together] == [outcome(run) for run in alone]
