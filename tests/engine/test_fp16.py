"""fp16 with a gradient scaler that overflows, grows and is carried over pauses ends as the same run undisturbed."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Pause, Resume
from modelyard.domain.run import FINAL, Run, RunState
from modelyard.engine import learner
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.engine.executors import Sliced
from modelyard.engine.pool import SessionPool
from modelyard.store import Store

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]

MODELS = ("mlp", "cnn")
OPTIMIZERS = ("sgd", "adamw", "muon")
INIT_SCALE, GROWTH_INTERVAL = 2.0**40, 3


@pytest.fixture(autouse=True)
def eager_scaler(monkeypatch: pytest.MonkeyPatch) -> list[torch.amp.GradScaler]:
    """Let the first steps overflow and the scale grow often; torch's own defaults do so in thousands of steps."""
    made: list[torch.amp.GradScaler] = []

    def make(config: Any, device: torch.device) -> torch.amp.GradScaler:
        assert config.precision == "fp16"
        made.append(
            torch.amp.GradScaler(
                device.type, init_scale=INIT_SCALE, growth_interval=GROWTH_INTERVAL, backoff_factor=2.0**-12
            )
        )
        return made[-1]

    monkeypatch.setattr(learner, "make_scaler", make)
    return made


@pytest.fixture
def specs(make_spec: Callable[..., RunSpec]) -> list[RunSpec]:
    # Without clipping too: then the fused kernels unscale, and skip, by themselves.
    return [
        make_spec(model, optimizer, precision="fp16", epochs=4, clip_norm=clip_norm)
        for model in MODELS
        for optimizer, clip_norm in zip(OPTIMIZERS, (None, None, 1.0), strict=True)
    ]


def scaler_of(store: Store, run: Run) -> dict[str, Any]:
    state = CheckpointFiles(store.blobs).load(store.checkpoints.find(run.id, "last")).state
    assert state is not None
    found: dict[str, Any] = state["learner"]["scaler"]
    return found


def test_the_scale_shrinks_and_grows_and_no_run_fails(specs: list[RunSpec], train: Train, store: Store) -> None:
    for run in train(specs):
        assert run.state is RunState.COMPLETED, run.reason
        scale = scaler_of(store, run)["scale"]
        assert scale < INIT_SCALE, "no step overflowed"
        assert scale not in {INIT_SCALE * 2.0 ** (-12 * count) for count in range(10)}, "it never grew"


def test_sliced_among_others_equals_solo(specs: list[RunSpec], train: Train, outcome: Outcome) -> None:
    alone = train(specs)
    together = train(specs, executor=Sliced(chunk_seconds=0.02), slots=3)
    for one, other in zip(alone, together, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        # As text: the gradient norm of a step that overflowed is NaN, which equals nothing.
        assert repr(outcome(other)) == repr(outcome(one))


def test_paused_often_equals_undisturbed(
    specs: list[RunSpec],
    train: Train,
    outcome: Outcome,
    submit: Callable[..., list[Run]],
    make_pool: Callable[..., SessionPool],
    store: Store,
) -> None:
    chosen = specs[:3]
    alone = train(chosen)
    runs = submit(chosen)
    pool, executor = make_pool(slots=len(runs), experiment_id=runs[0].experiment_id), Sliced(chunk_seconds=0.0)
    pauses, chance = 0, random.Random(1)
    while not all(store.runs.get(run.id).state in FINAL for run in runs):
        pool.fill()
        if ready := pool.ready():
            executor.turn(pool, ready)
        for run in runs:
            state = store.runs.get(run.id).state
            if state is RunState.RUNNING and chance.random() < 0.3:
                store.runs.request(run.id, Pause(), actor="test")
                pauses += 1
            elif state is RunState.PAUSED:
                store.runs.request(run.id, Resume(), actor="test")
    assert pauses >= 3 * len(runs)
    for one, other in zip(alone, runs, strict=True):
        assert repr(outcome(store.runs.get(other.id))) == repr(outcome(one))
