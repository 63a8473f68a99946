"""A stack takes several steps at once where there is nothing to look at between them, and nothing else differs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Tune
from modelyard.domain.run import Run, RunState
from modelyard.engine import stack
from modelyard.engine.executors import Stacked
from modelyard.engine.forks import Awaited, Forks
from modelyard.engine.pool import SessionPool
from modelyard.engine.stack import Stack, Stride
from modelyard.engine.stride import free_steps
from modelyard.engine.tunes import TuneReplay
from modelyard.store import Follower, Store

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
Taken = list[int]
STEPS_PER_EPOCH = 8


def config(rate: float = 0.01, *, optimizer: str = "adamw", schedule: str = "cosine", **training: Any) -> RunSpec:
    return RunSpec.model_validate(
        {
            "data": {"source": "digits", "max_per_class": 12, "test_fraction": 0.05, "val_fraction": 0.1},
            "model": {"name": "mlp", "hidden_sizes": [16], "dropout": 0.1},
            "optimizer": {"name": optimizer, "learning_rate": rate},
            "schedule": schedule,
            "training": {"epochs": 4, "batch_size": 16, "log_every": 5, **training},
        }
    )


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """How many steps each stride took."""
    steps: Taken = []
    original = Stack.stride

    def counted(whole: Stack, count: int, *, seconds: float) -> Stride:
        done = original(whole, count, seconds=seconds)
        steps.append(len(done.losses))
        return done

    monkeypatch.setattr(Stack, "stride", counted)
    monkeypatch.setattr(stack, "STRIDE_SECONDS", 60.0)
    return steps


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "lion"])
@pytest.mark.parametrize("schedule", ["constant", "warmup-cosine"])
def test_strides_are_the_steps_of_each_alone(
    optimizer: str, schedule: str, train: Train, outcome: Outcome, taken: Taken
) -> None:
    specs = [config(rate, optimizer=optimizer, schedule=schedule) for rate in (0.001, 0.003, 0.01)]
    together = train(specs, executor=Stacked(), slots=3)
    assert max(taken) == 5
    for one, other in zip(train(specs), together, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradients_that_autograd_makes_anew_each_time_are_the_ones_that_count(
    precision: str, train: Train, store: Store, taken: Taken
) -> None:
    model = {"name": "vit", "hidden_size": 16, "layers": 1, "heads": 2, "patch_size": 4}
    specs = [config(rate, epochs=2, precision=precision) for rate in (0.003, 0.01)]
    specs = [RunSpec.model_validate({**spec.model_dump(mode="json"), "model": model}) for spec in specs]
    together = train(specs, executor=Stacked(), slots=2)
    assert max(taken) == 5
    for one, other in zip(train(specs), together, strict=True):
        expected, found = (store.metrics.history(run.id, "train_loss").values for run in (one, other))
        assert found == pytest.approx(expected, rel=1e-4 if precision == "fp32" else 1e-2)


@pytest.mark.parametrize(
    "more",
    [{"clip_norm": 1.0}, {"ema": {"decay": 0.9}}, {"accumulate": 2}, {"log_every": 1}],
    ids=str,
)
def test_steps_with_more_to_them_are_taken_one_by_one(
    more: dict[str, Any], train: Train, outcome: Outcome, taken: Taken
) -> None:
    specs = [config(rate, **more) for rate in (0.001, 0.01)]
    together = train(specs, executor=Stacked(), slots=2)
    assert not taken
    assert [outcome(run) for run in together] == [outcome(run) for run in train(specs)]


def test_members_at_different_steps_take_them_one_by_one(
    train: Train, outcome: Outcome, taken: Taken, submit: Any, make_pool: Callable[..., SessionPool], store: Store
) -> None:
    specs = [config(0.001), config(0.01)]
    alone = train(specs)
    runs = submit(specs)
    pool = make_pool(slots=2)
    pool.fill()
    first, second = pool.sessions
    second.activate()
    second.advance()
    second.deactivate()
    assert Stack([first.learner, second.learner]).take_steps(9) == []
    assert not taken
    pool.release_all()
    pool = make_pool(slots=2)
    pool.fill()
    while pool.sessions:
        Stacked().turn(pool, pool.ready())
    assert [outcome(store.runs.get(run.id)) for run in runs] == [outcome(run) for run in alone]


def test_a_step_that_fails_ends_the_stride_and_is_taken_again(
    train: Train, outcome: Outcome, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [config(0.001), config(0.01)]
    gradients, calls = Stack._gradients, []

    def failing(whole: Stack, *arguments: Any) -> Tensor:
        calls.append(None)
        losses = gradients(whole, *arguments)
        if len(calls) in {3, 9}:
            raise torch.OutOfMemoryError("no memory for a moment")
        return losses

    monkeypatch.setattr(Stack, "_gradients", failing)
    together = train(specs, executor=Stacked(), slots=2)
    assert 2 in taken
    monkeypatch.undo()
    assert [outcome(run) for run in together] == [outcome(run) for run in train(specs)]


def test_a_stride_ends_where_there_is_something_to_do(
    submit: Any, make_pool: Callable[..., SessionPool], store: Store
) -> None:
    (run,) = submit([config(log_every=6, checkpoint={"every_steps": 4})])
    pool = make_pool()
    pool.fill()
    (session,) = pool.sessions
    assert session.learner.plan.steps_per_epoch == STEPS_PER_EPOCH

    def at(step: int) -> int:
        session.learner.progress.step = step
        session.learner.progress.epoch, session.learner.progress.step_in_epoch = divmod(step, STEPS_PER_EPOCH)
        return free_steps(session)

    assert [at(step) for step in (0, 3, 4, 6, 7)] == [4, 1, 2, 2, 1]
    store.runs.request(run.id, Tune(learning_rate=0.1), actor="test")
    (record,) = store.controls.pending([run.id])
    session.tunes = TuneReplay([record.model_copy(update={"applied_step": 2})], after=0)
    assert at(0) == 2
    session.forks = Forks([Awaited(Follower(run_id="another", fork_step=1, total_steps=9), session.judge)])
    assert at(0) == 1
    at(0)
    pool.release_all()
