"""Each field of a run's training changes what happens. A new field without a case here fails."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.events import CheckpointSaved
from modelyard.domain.parts.training import CheckpointConfig, EarlyStopping, Ema, TrainingConfig
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.engine.executors import Solo
from modelyard.engine.learner import Learner
from modelyard.engine.pool import SessionPool
from modelyard.engine.worker import work
from modelyard.store import Store
from modelyard.tasks.base import Batch
from modelyard.tasks.image_classification.problem import ImageProblem

WATCH = {"metric": "val_loss", "patience": 1, "min_delta": 0.0}
NO_GAIN = {"metric": "val_loss", "patience": 2, "min_delta": 100.0}


@dataclass
class Seen:
    """What can be observed of one run."""

    run: Run
    store: Store
    evaluated: list[int] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    deterministic: set[bool] = field(default_factory=set)

    def points(self, name: str) -> int:
        names = self.store.metrics.names(self.run.id)
        return len(self.store.metrics.history(self.run.id, name).steps) if name in names else 0

    def weights(self) -> str:
        return self.store.checkpoints.find(self.run.id, "last").files["model.safetensors"].digest

    def best_step(self) -> int:
        return self.store.checkpoints.find(self.run.id, "best").step

    def saved(self) -> int:
        events = self.store.events.read(run_id=self.run.id)
        return sum(isinstance(event.payload, CheckpointSaved) for event in events)

    def kept(self) -> int:
        return len(self.store.checkpoints.list(self.run.id))


Look = Callable[[Seen], Any]

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Look]] = {
    "epochs": ({"epochs": 2}, {"epochs": 3}, lambda seen: seen.run.epoch),
    "batch_size": ({"batch_size": 16}, {"batch_size": 32}, lambda seen: seen.run.total_steps),
    "accumulate": ({"accumulate": 1}, {"accumulate": 3}, lambda seen: seen.run.total_steps),
    "eval_batch_size": ({"eval_batch_size": 64}, {"eval_batch_size": 5}, lambda seen: max(seen.evaluated)),
    "evaluate_every": ({"evaluate_every": 1}, {"evaluate_every": 2}, lambda seen: seen.points("val_loss")),
    "clip_norm": (
        {"clip_norm": None},
        {"clip_norm": 0.01},
        lambda seen: (seen.points("grad_norm") > 0, seen.weights()),
    ),
    "precision": ({"precision": "fp32"}, {"precision": "bf16"}, lambda seen: seen.weights()),
    "ema": ({"ema": None}, {"ema": {"decay": 0.9}}, lambda seen: seen.weights()),
    "ema.decay": ({"ema": {"decay": 0.5}}, {"ema": {"decay": 0.9}}, lambda seen: seen.weights()),
    "early_stopping": ({"epochs": 6}, {"epochs": 6, "early_stopping": NO_GAIN}, lambda seen: seen.run.epoch),
    "early_stopping.metric": (
        {"epochs": 6, "early_stopping": {**WATCH, "metric": "val_loss"}},
        {"epochs": 6, "early_stopping": {**WATCH, "metric": "val_accuracy", "min_delta": 0.9}},
        lambda seen: seen.run.epoch,
    ),
    "early_stopping.mode": (
        {"epochs": 6, "early_stopping": {**WATCH, "mode": "min"}},
        {"epochs": 6, "early_stopping": {**WATCH, "mode": "max"}},
        lambda seen: seen.run.epoch,
    ),
    "early_stopping.patience": (
        {"epochs": 6, "early_stopping": {**NO_GAIN, "patience": 1}},
        {"epochs": 6, "early_stopping": {**NO_GAIN, "patience": 3}},
        lambda seen: seen.run.epoch,
    ),
    "early_stopping.min_delta": (
        {"epochs": 6, "early_stopping": {**WATCH, "min_delta": 0.0}},
        {"epochs": 6, "early_stopping": {**WATCH, "min_delta": 100.0}},
        lambda seen: seen.run.epoch,
    ),
    "checkpoint": ({}, {"checkpoint": {"every_steps": 1}}, lambda seen: seen.saved()),
    "checkpoint.every_seconds": (
        {"checkpoint": {"every_seconds": 1000}},
        {"checkpoint": {"every_seconds": 1e-9}},
        lambda seen: seen.saved(),
    ),
    "checkpoint.every_steps": (
        {"checkpoint": {"every_steps": 2}},
        {"checkpoint": {"every_steps": 4}},
        lambda seen: seen.saved(),
    ),
    "checkpoint.keep": (
        {"checkpoint": {"every_steps": 1, "keep": 1}},
        {"checkpoint": {"every_steps": 1, "keep": 5}},
        lambda seen: seen.kept(),
    ),
    "checkpoint.metric": (
        {"epochs": 6, "checkpoint": {"metric": "val_loss"}},
        {"epochs": 6, "checkpoint": {"metric": "val_accuracy", "mode": "min"}},
        lambda seen: seen.best_step(),
    ),
    "checkpoint.mode": (
        {"epochs": 6, "checkpoint": {"mode": "min"}},
        {"epochs": 6, "checkpoint": {"mode": "max"}},
        lambda seen: seen.best_step(),
    ),
    "log_every": ({"log_every": 2}, {"log_every": 5}, lambda seen: seen.points("train_loss")),
    "device": ({"device": "cpu"}, {"device": "cuda"}, lambda seen: seen.run.reason.code),
    "threads": ({"threads": 1}, {"threads": 2}, lambda seen: seen.threads),
    "deterministic": ({"deterministic": True}, {"deterministic": False}, lambda seen: seen.deterministic),
}
ELSEWHERE = {
    "compile": "test_compiled_runs.test_never_and_an_execution_that_was_asked_for_rule_it_out",
    "max_retries": "test_max_retries_is_how_often_a_process_may_be_lost",
}


def fields() -> Iterator[str]:
    parts = {"ema": Ema, "early_stopping": EarlyStopping, "checkpoint": CheckpointConfig}
    for name in TrainingConfig.model_fields:
        yield name
        if name in parts:
            yield from (f"{name}.{inner}" for inner in parts[name].model_fields)


def test_every_field_has_a_case() -> None:
    assert set(fields()) == CASES.keys() | ELSEWHERE.keys()


@pytest.fixture
def observe(store: Store, train: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seen]:
    """Train one run and keep what cannot be seen afterwards."""

    def look(spec: RunSpec) -> Seen:
        evaluated, threads, deterministic = list[int](), set[int](), set[bool]()
        evaluate, step = ImageProblem.evaluate, Learner.train_step

        def watched_evaluate(problem: ImageProblem, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
            evaluated.append(len(batch))
            return evaluate(problem, model, batch)

        def watched_step(learner: Learner) -> int:
            threads.add(torch.get_num_threads())
            deterministic.add(torch.are_deterministic_algorithms_enabled())
            return step(learner)

        with monkeypatch.context() as patch:
            patch.setattr(ImageProblem, "evaluate", watched_evaluate)
            patch.setattr(Learner, "train_step", watched_step)
            (run,) = train([spec])
        return Seen(run, store, evaluated, threads, deterministic)

    return look


@pytest.mark.parametrize("name", CASES)
def test_a_training_field_changes_what_happens(
    name: str, observe: Callable[..., Seen], make_spec: Callable[..., RunSpec]
) -> None:
    plain = {"accumulate": 1, "ema": None, "precision": "fp32", "clip_norm": None, "checkpoint": {}}
    one, other, look = CASES[name]
    before, after = observe(make_spec(**plain | one)), observe(make_spec(**plain | other))
    assert look(before) != look(after)
    if name != "device":
        assert before.run.state is after.run.state is RunState.COMPLETED


@pytest.mark.parametrize("seed", ["seed", "data_seed"])
def test_both_seeds_change_the_weights(
    seed: str, observe: Callable[..., Seen], make_spec: Callable[..., RunSpec]
) -> None:
    spec = make_spec(epochs=1)
    same, other = observe(spec), observe(spec.model_copy(update={seed: 7}))
    assert observe(spec).weights() == same.weights() != other.weights()


@pytest.mark.parametrize(("retries", "state"), [(0, RunState.FAILED), (1, RunState.QUEUED)])
def test_max_retries_is_how_often_a_process_may_be_lost(
    retries: int,
    state: RunState,
    store: Store,
    make_spec: Callable[..., RunSpec],
    submit: Callable[..., list[Run]],
    make_pool: Callable[..., SessionPool],
) -> None:
    (run,) = submit([make_spec(max_retries=retries)])
    pool = make_pool()
    pool.fill()
    store.leases.unregister(pool.sessions[0].lease.worker_id)
    lost = store.runs.get(run.id)
    assert lost.state is state
    if state is RunState.FAILED:
        assert lost.reason.code is ReasonCode.RETRIES_EXHAUSTED
    else:
        work(make_pool(), Solo(), idle_seconds=0)
        assert store.runs.get(run.id).state is RunState.COMPLETED
