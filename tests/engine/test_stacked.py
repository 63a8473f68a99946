"""Runs that train as one model end as the same runs alone, and each member stays its own."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.events import ExecutionChanged
from modelyard.domain.measurement import Situation, Way
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.domain.structure import workload_hash
from modelyard.engine.executors import Stacked, _base
from modelyard.engine.executors._base import ENOUGH_STEPS
from modelyard.engine.executors.trials import Trials
from modelyard.engine.known_times import KnownTimes
from modelyard.engine.learner import Learner
from modelyard.engine.stack import Stack
from modelyard.store import Store
from modelyard.store.circumstances import circumstances
from modelyard.tasks.stacked.rules import Stacking

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "lion", "muon")
TOLERANCE = {"fp32": 1e-5, "bf16": 0.05}
"""How far the losses of convolutions and attention may be from solo's: other CPUs have other kernels."""

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
MakeSpec = Callable[..., RunSpec]
Kill = Callable[..., list[Run]]


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the size of every stack that takes a step."""
    sizes: list[int] = []
    backward = Stack.backward

    def counted(stack: Stack, steps: Any) -> None:
        sizes.append(len(steps))
        backward(stack, steps)

    monkeypatch.setattr(Stack, "backward", counted)
    return sizes


def assert_close(one: dict[str, Any], other: dict[str, Any], tolerance: float) -> None:
    assert (one["state"], one["step"]) == (other["state"], other["step"])
    for name in ("train_loss", "val_loss", "test_loss"):
        steps, values = one["metrics"][name]
        assert other["metrics"][name][0] == steps
        assert other["metrics"][name][1] == pytest.approx(values, rel=tolerance)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_perceptrons_equal_solo_with_every_optimizer(
    precision: str, train: Train, outcome: Outcome, make_spec: MakeSpec, together: list[int]
) -> None:
    specs = [make_spec("mlp", optimizer, precision=precision) for optimizer in OPTIMIZERS]
    alone = train(specs)
    stacked = train(specs, executor=Stacked(), slots=8)
    assert max(together) == len(specs)
    for one, other in zip(alone, stacked, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", ["cnn", "resnet", "vit"])
def test_convolutions_and_attention_agree_with_solo(
    model: str, precision: str, train: Train, outcome: Outcome, make_spec: MakeSpec, together: list[int]
) -> None:
    specs = [make_spec(model, optimizer, precision=precision) for optimizer in OPTIMIZERS]
    alone = train(specs)
    stacked = train(specs, executor=Stacked(), slots=8)
    assert max(together) == len(specs)
    for one, other in zip(alone, stacked, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert_close(outcome(one), outcome(other), TOLERANCE[precision])


def various(number: int) -> RunSpec:
    """Draw a config: of one structure, and different in all that may differ within a stack."""
    chance = random.Random(number)
    return RunSpec.model_validate(
        {
            "seed": number,
            "data_seed": chance.randrange(3),
            "data": {"source": "digits", "max_per_class": 12},
            "model": {"name": "mlp", "hidden_sizes": [33, 16], "dropout": chance.choice([0.0, 0.1, 0.5])},
            "loss": chance.choice(["focal", "huber", {"name": "cross-entropy", "label_smoothing": 0.1}]),
            "optimizer": {
                "name": chance.choice(OPTIMIZERS),
                "learning_rate": chance.choice([0.01, 0.001]),
                "weight_decay": chance.choice([0.0, 0.1]),
            },
            "schedule": chance.choice(["constant", "cosine", "warmup-cosine"]),
            "augment": chance.choice([[], [{"name": "noise"}], [{"name": "affine"}]]),
            "training": {
                "epochs": chance.choice([2, 3, 5]),
                "batch_size": 16,
                "clip_norm": chance.choice([None, 1.0]),
                "ema": chance.choice([None, {"decay": 0.9}]),
                "checkpoint": {"every_steps": 7},
            },
        }
    )


def test_all_but_the_structure_may_differ_and_free_places_are_filled(
    train: Train, outcome: Outcome, together: list[int]
) -> None:
    specs = [various(number) for number in range(14)]
    alone = train(specs)
    stacked = train(specs, executor=Stacked(chunk_seconds=0.05), slots=5)
    assert max(together) == 5
    for one, other in zip(alone, stacked, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)


@pytest.mark.parametrize("faster", ["stacked", "sliced"])
def test_a_group_trains_in_the_way_that_was_found_to_be_faster(
    faster: str,
    train: Train,
    outcome: Outcome,
    make_spec: MakeSpec,
    together: list[int],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = [make_spec("mlp", optimizer, epochs=25, checkpoint={}) for optimizer in OPTIMIZERS[:3]]
    alone = train(specs)
    add, seconds = Trials.add, {"stacked": 0.5, "sliced": 5.0}[faster]
    monkeypatch.setattr(
        Trials,
        "add",
        lambda trials, members, _: add(trials, members, [1.0 if members == 1 else seconds]),
    )
    monkeypatch.setattr(_base, "ENOUGH_SECONDS", 0.0)
    runs = train(specs, executor=Stacked(chunk_seconds=0.05, measures=True), slots=3)
    assert together.count(3) >= 2 * ENOUGH_STEPS
    assert together.count(2) >= 2 * ENOUGH_STEPS
    for one, other in zip(alone, runs, strict=True):
        assert outcome(other) == outcome(one)
        events = [event.payload for event in store.events.read(run_id=other.id)]
        changes = [event for event in events if isinstance(event, ExecutionChanged)]
        assert changes[0].execution == faster
        assert "as one model" in changes[0].reason or "one model for several" in changes[0].reason
        if faster == "sliced":
            assert other.how == "sliced"
            assert len(together) == 4 * ENOUGH_STEPS
        else:
            assert (changes[0].stack_size, changes[0].stack_gain) == (3, 6.0)


def test_what_cannot_be_stacked_trains_alone(
    train: Train, outcome: Outcome, make_spec: MakeSpec, together: list[int]
) -> None:
    specs = [
        make_spec("mlp"),
        make_spec("mlp", batch_size=8),
        make_spec("mlp", precision="fp32"),
        make_spec("cnn"),
    ]
    alone = train(specs)
    stacked = train(specs, executor=Stacked(), slots=4)
    assert together == []
    assert [outcome(run) for run in stacked] == [outcome(run) for run in alone]


def test_members_that_pause_and_come_back_equal_solo(
    train: Train,
    outcome: Outcome,
    make_spec: MakeSpec,
    pause_at_random: Callable[..., tuple[list[Run], int]],
    together: list[int],
) -> None:
    specs = [make_spec("mlp", optimizer, epochs=15) for optimizer in OPTIMIZERS]
    alone = train(specs)
    runs, pauses = pause_at_random(specs, Stacked(chunk_seconds=0.0), chance=0.6)
    assert pauses >= 2
    assert len(set(together)) > 1, "the stack changed its size"
    for one, other in zip(alone, runs, strict=True):
        assert outcome(other) == outcome(one)


def test_killed_three_times_equals_undisturbed(
    train: Train, outcome: Outcome, make_spec: MakeSpec, kill_at_random: Kill
) -> None:
    specs = [make_spec("mlp", optimizer, epochs=60) for optimizer in ("adamw", "sgd", "muon")]
    alone = train(specs)
    killed = kill_at_random(specs, kills=3, execution="stacked")
    for one, other in zip(alone, killed, strict=True):
        assert other.attempt == 4
        assert outcome(other) == outcome(one)


def test_one_members_nan_fails_it_alone(train: Train, outcome: Outcome, make_spec: MakeSpec) -> None:
    specs = [make_spec("mlp", optimizer, clip_norm=None) for optimizer in ("sgd", "adamw")]
    broken = make_spec("mlp", "sgd", clip_norm=None)
    broken = broken.model_copy(update={"optimizer": broken.optimizer.model_copy(update={"learning_rate": 1e30})})
    alone = train(specs)
    first, failed, second = train([specs[0], broken, specs[1]], executor=Stacked(), slots=3)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.NON_FINITE_LOSS)
    assert [outcome(first), outcome(second)] == [outcome(run) for run in alone]


def test_one_members_surprise_fails_it_alone(
    train: Train, outcome: Outcome, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [make_spec("mlp", optimizer) for optimizer in ("sgd", "adam", "adamw")]
    alone = train(specs)
    build = Learner._build

    def broken(learner: Learner, saved: Any) -> None:
        build(learner, saved)
        if learner.spec.optimizer.name == "adam":
            loss = learner.problem.loss_function

            class Broken(torch.nn.Module):
                def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
                    if learner.progress.step == 5:
                        raise RuntimeError("out of memory")
                    return loss(outputs, targets)

            monkeypatch.setattr(learner.problem, "loss_function", Broken())

    monkeypatch.setattr(Learner, "_build", broken)
    first, failed, third = train(specs, executor=Stacked(), slots=3)
    assert (failed.state, failed.step) == (RunState.FAILED, 5)
    assert [outcome(first), outcome(third)] == [outcome(alone[0]), outcome(alone[2])]


def test_a_stack_that_does_not_fit_gets_smaller(
    train: Train, outcome: Outcome, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [make_spec("mlp", optimizer) for optimizer in OPTIMIZERS]
    alone = train(specs)
    sizes: list[int] = []
    micro_batch = Stack._micro_batch

    def limited(stack: Stack, model: Any, steps: Any, number: int) -> None:
        micro_batch(stack, model, steps, number)
        sizes.append(len(steps))
        if len(steps) > 3:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(Stack, "_micro_batch", limited)
    stacked = train(specs, executor=Stacked(chunk_seconds=0.02), slots=8)
    assert sorted(set(sizes)) in ([2, 3, 6], [3, 6], [1, 2, 3, 6])
    assert sizes.count(6) == 1
    assert [outcome(run) for run in stacked] == [outcome(run) for run in alone]


def test_weights_that_cannot_be_stacked_train_alone(
    train: Train, outcome: Outcome, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [make_spec("mlp", optimizer) for optimizer in ("sgd", "adamw")]
    alone = train(specs)

    def refuse(stacking: Any, members: Any, **options: Any) -> torch.Tensor:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Stacking, "parameter", refuse)
    stacked = train(specs, executor=Stacked(), slots=2)
    assert [outcome(run) for run in stacked] == [outcome(run) for run in alone]


def test_what_a_process_measured_is_known_to_the_next(
    train: Train, make_spec: MakeSpec, together: list[int], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Trials.add
    monkeypatch.setattr(Trials, "add", lambda trials, members, _: add(trials, members, [1.0 if members == 1 else 5.0]))
    monkeypatch.setattr(_base, "ENOUGH_SECONDS", 0.0)
    specs = [make_spec("mlp", optimizer, epochs=25, checkpoint={}) for optimizer in OPTIMIZERS[:3]]

    def executor(processes: int = 2) -> Stacked:
        known = KnownTimes(store.measurements, device=torch.device("cpu"), processes=processes)
        return Stacked(chunk_seconds=0.05, measures=True, known=known)

    train(specs, executor=executor(), slots=3)
    assert len(together) == 4 * ENOUGH_STEPS, "they took turns but for the trials"
    found = store.measurements.recall(Situation(workload=workload_hash(specs), device="cpu"), circumstances())
    assert {way: one.seconds for way, one in found.ways.items()} == {Way(1, 2): 1.0, Way(2, 2): 5.0, Way(3, 2): 5.0}
    assert {one.source for one in found.ways.values()} == {"training"}

    together.clear()
    runs = train(specs, executor=executor(), slots=3)
    assert together == [], "nothing was tried again"
    assert {run.how for run in runs} == {"sliced"}
    events = [event.payload for event in store.events.read(run_id=runs[0].id)]
    assert "as measured on" in next(event.reason for event in events if isinstance(event, ExecutionChanged))

    train(specs, executor=executor(processes=1), slots=3)
    assert together, "another number of processes is another matter"
