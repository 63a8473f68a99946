"""Members of a stack that come and go over 300 steps end as near to solo as rounding lets them.

MLPs end bit-identical (test_stacked). Convolution, pooling by pixel and attention take sums in another order when they
are stacked; what that comes to over a whole training is stated here.
"""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from modelyard.domain.config import RunSpec
from modelyard.domain.run import Run, RunState
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.engine.executors import Stacked
from modelyard.store import Store

pytestmark = pytest.mark.long

STEPS = 300
TOLERANCES = {"fp32": 0.02, "bf16": 0.1}
"""Largest L2 distance of the final weights from solo's, as a share of that to the same run with another seed."""
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {"name": "cnn", "channels": [8, 16], "hidden_size": 32},
    "resnet": {"name": "resnet", "channels": [4, 8], "blocks": [1, 1]},
    "vit": {"name": "vit", "hidden_size": 16, "layers": 1, "heads": 2},
}


def make(model: str, precision: str, number: int, seed: int) -> RunSpec:
    """Build a config of 300 steps; members differ in rate, decay and seed."""
    return RunSpec.model_validate(
        {
            "seed": seed,
            "data": {"source": "digits", "max_per_class": 40},
            "model": {**MODELS[model], "dropout": 0.1},
            "optimizer": {"name": "adamw", "learning_rate": 0.0005 * (number + 1), "weight_decay": 0.01 * number},
            "training": {
                "epochs": 30,
                "batch_size": 32,
                "precision": precision,
                "checkpoint": {"every_seconds": 1e6, "metric": "val_loss"},
            },
        }
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", MODELS)
def test_members_that_come_and_go_agree_with_solo(
    model: str,
    precision: str,
    store: Store,
    train: Callable[..., list[Run]],
    pause_at_random: Callable[..., tuple[list[Run], int]],
    record_property: Callable[[str, object], None],
) -> None:
    specs = [make(model, precision, number, seed=number) for number in range(4)]
    others = [make(model, precision, number, seed=100 + number) for number in range(4)]
    alone, other_seeds = train(specs), train(others)
    stacked, _ = pause_at_random(specs, Stacked(chunk_seconds=0.0), chance=0.4)
    files = CheckpointFiles(store.blobs)

    def weights(run: Run) -> dict[str, Tensor]:
        return dict(files.load(store.checkpoints.find(run.id, "last")).weights)

    def loss(run: Run) -> float:
        return run.summary["val_loss"]

    apart, gaps, spread = [], [], []
    for one, other, reseeded in zip(alone, stacked, other_seeds, strict=True):
        assert one.step == other.step >= STEPS - 50
        assert other.state is RunState.COMPLETED, other.reason
        apart.append(distance(weights(one), weights(other)) / distance(weights(one), weights(reseeded)))
        gaps.append(abs(loss(one) - loss(other)))
        spread.append(abs(loss(one) - loss(reseeded)))
    record_property("apart", max(apart))
    assert max(apart) < TOLERANCES[precision], apart
    assert max(gaps) <= max(spread), "the loss is within what another seed makes of it"


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the L2 distance of all floating weights."""
    squares = [
        (tensor.double() - other[name].double()).square().sum().item()
        for name, tensor in one.items()
        if tensor.is_floating_point()
    ]
    return float(sum(squares) ** 0.5)
