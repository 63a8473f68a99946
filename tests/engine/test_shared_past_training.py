"""Runs that have steps in common are bit for bit the same run until then, and may differ right after."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Stop
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.store import Store
from modelyard.tasks.shared_past import shared_steps

STEPS_PER_EPOCH = 4
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "epochs": ({"epochs": 2}, {"epochs": 4}, 8),
    "measured": ({"evaluate_every": 2, "log_every": 1}, {"eval_batch_size": 3, "log_every": 3}, 16),
    "stopping": ({}, {"early_stopping": {"patience": 9}}, 16),
    "schedule": ({"schedule": {"name": "step", "every": 0.5}}, {"schedule": {"name": "step", "every": 0.25}}, 4),
}


def build(make_spec: Callable[..., RunSpec], changes: dict[str, Any]) -> RunSpec:
    changes = dict(changes)
    schedule = changes.pop("schedule", "constant")
    spec = make_spec("cnn", "adamw", **{"epochs": 4, "evaluate_every": 1, "log_every": 2, **changes})
    return RunSpec.model_validate({**spec.model_dump(), "schedule": schedule})


def tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]


@pytest.mark.parametrize("pair", PAIRS)
def test_weights_optimizer_average_and_random_state_are_equal(
    pair: str,
    make_spec: Callable[..., RunSpec],
    submit: Callable[..., Any],
    interrupt: Callable[[int], None],
    store: Store,
) -> None:
    first, second, expected = PAIRS[pair]
    specs = [build(make_spec, changes) for changes in (first, second)]
    steps = shared_steps(*specs, steps_per_epoch=STEPS_PER_EPOCH)
    assert steps == expected
    found = []
    for spec in specs:
        (run,) = submit([spec])
        interrupt(steps)
        loaded = CheckpointFiles(store.blobs).load(store.checkpoints.find(run.id, "last"))
        assert loaded.state is not None
        learner = loaded.state["learner"]
        assert learner["progress"]["step"] == steps
        store.runs.request(run.id, Stop(), actor="test")
        found.append(
            [
                *loaded.weights.values(),
                *loaded.training_weights.values(),
                *tensors(learner["optimizer"]),
                *tensors(learner["random"]),
            ]
        )
    assert len(found[0]) == len(found[1])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
