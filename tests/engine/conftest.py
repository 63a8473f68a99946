"""Real stores, real data, real training: small enough to be quick, with everything switched on."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause, Resume
from modelyard.domain.plan import Execution
from modelyard.domain.run import FINAL, Run, RunState
from modelyard.engine.executors import Executor, Solo
from modelyard.engine.opening import Opener, Placing
from modelyard.engine.pool import SessionPool
from modelyard.engine.residency import Residency
from modelyard.engine.worker import work
from modelyard.store import LeaseObserver, Store

MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden_sizes": [16], "norm": "batch", "dropout": 0.1},
    "cnn": {"name": "cnn", "channels": [4, 8], "hidden_size": 16, "dropout": 0.1},
    "resnet": {"name": "resnet", "channels": [4, 8], "blocks": [1, 1], "dropout": 0.1},
    "vit": {"name": "vit", "hidden_size": 16, "layers": 1, "heads": 2, "dropout": 0.1},
}
CHECKPOINT_STEPS = 3
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "lion", "muon")


def _spec(model: str = "mlp", optimizer: str = "adamw", **training: Any) -> RunSpec:
    return RunSpec.model_validate(
        {
            "data": {"source": "digits", "max_per_class": 12, "test_fraction": 0.05, "val_fraction": 0.1},
            "model": MODELS[model],
            "optimizer": {"name": optimizer, "learning_rate": 0.003, "weight_decay": 0.01},
            "schedule": "warmup-cosine",
            "augment": [{"name": "affine"}, {"name": "noise"}, {"name": "mixup"}],
            "training": {
                "epochs": 3,
                "batch_size": 16,
                "accumulate": 2,
                "precision": "bf16",
                "ema": {"decay": 0.9},
                "clip_norm": 1.0,
                "log_every": 2,
                "max_retries": 1000,
                "checkpoint": {"every_steps": CHECKPOINT_STEPS},
                **training,
            },
        }
    )


@pytest.fixture
def make_spec() -> Callable[..., RunSpec]:
    """Build a small spec with dropout, augmentation, AMP, accumulation, clipping and EMA on."""
    return _spec


@pytest.fixture
def make_pool(store: Store) -> Iterator[Callable[..., SessionPool]]:
    """Build a pool whose worker is this process."""
    workers: list[str] = []

    def build(
        *, slots: int = 1, residency: Residency | None = None, compiles: bool = True, **options: Any
    ) -> SessionPool:
        workers.append(store.leases.register(kind="engine"))
        placing = Placing(device=torch.device("cpu"), execution=Execution.SOLO, reason="a test", compiles=compiles)
        return SessionPool(
            store=store,
            worker_id=workers[-1],
            opener=Opener(store, placing),
            residency=residency or Residency(device_bytes=None, host_bytes=None),
            slots=slots,
            **options,
        )

    yield build
    for worker_id in workers:
        store.leases.unregister(worker_id)


@pytest.fixture
def submit(store: Store) -> Callable[..., list[Run]]:
    """Queue specs as one experiment."""

    def create(specs: Sequence[RunSpec], name: str = "test") -> list[Run]:
        experiment = store.experiments.create(SweepSpec(name=name), list(specs), actor="test")
        return store.runs.list(experiment_id=experiment.id)

    return create


@pytest.fixture
def train(
    store: Store, submit: Callable[..., list[Run]], make_pool: Callable[..., SessionPool]
) -> Callable[..., list[Run]]:
    """Train specs in this process until nothing is left to do; return the runs as they ended."""

    def run(specs: Sequence[RunSpec], *, executor: Executor | None = None, **pool_options: Any) -> list[Run]:
        runs = submit(specs)
        pool = make_pool(experiment_id=runs[0].experiment_id, **pool_options)
        work(pool, executor or Solo(), idle_seconds=0.0)
        return [store.runs.get(one.id) for one in runs]

    return run


@pytest.fixture
def outcome(store: Store) -> Callable[[Run], dict[str, Any]]:
    """Return all that must not differ: every byte of the last checkpoint, and the effective metric history."""

    def describe(run: Run) -> dict[str, Any]:
        last = store.checkpoints.find(run.id, "last")
        histories = {
            name: (series.steps.tolist(), series.values.tolist())
            for name in store.metrics.names(run.id)
            if name != "samples_per_second"
            for series in [store.metrics.history(run.id, name)]
        }
        return {
            "state": run.state.value,
            "step": run.step,
            "files": {name: blob.digest for name, blob in last.files.items()},
            "metrics": histories,
        }

    return describe


@pytest.fixture
def interrupt(make_pool: Callable[..., SessionPool]) -> Callable[[int], None]:
    """Train the only queued run for so many steps, then save it and give it back."""

    def run(steps: int) -> None:
        pool = make_pool()
        pool.fill()
        (session,) = pool.sessions
        session.activate()
        while session.learner.progress.step < steps:
            session.advance()
        session.deactivate()
        pool.release_all()

    return run


@pytest.fixture
def pause_at_random(
    store: Store, submit: Callable[..., list[Run]], make_pool: Callable[..., SessionPool]
) -> Callable[..., tuple[list[Run], int]]:
    """Train specs in turns, pausing and resuming runs by ``chance``; return them as they ended, and the pauses."""

    def train(specs: Sequence[RunSpec], executor: Executor, *, chance: float) -> tuple[list[Run], int]:
        runs = submit(specs)
        pool = make_pool(slots=len(runs), experiment_id=runs[0].experiment_id)
        dice, pauses = random.Random(1), 0
        while not all(store.runs.get(run.id).state in FINAL for run in runs):
            pool.fill()
            if ready := pool.ready():
                executor.turn(pool, ready)
            run = store.runs.get(dice.choice(runs).id)
            if run.state is RunState.RUNNING and dice.random() < chance:
                store.runs.request(run.id, Pause(), actor="test")
                pauses += 1
            elif run.state is RunState.PAUSED:
                store.runs.request(run.id, Resume(), actor="test")
            for paused in [] if ready else runs:
                if store.runs.get(paused.id).state is RunState.PAUSED:
                    store.runs.request(paused.id, Resume(), actor="test")
        return [store.runs.get(run.id) for run in runs], pauses

    return train


def start_worker(store: Store, experiment_id: str, slots: int, execution: str) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "modelyard.engine.worker"),
        *(f"--home={store.home.path}", f"--experiment={experiment_id}"),
        *(f"--execution={execution}", f"--slots={slots}", "--chunk-seconds=0.02", "--idle-seconds=0"),
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def run_and_kill(store: Store, experiment_id: str, *, kills: int, slots: int, execution: str) -> None:
    """Run worker processes, and end the first ``kills`` with SIGKILL at a random moment after all runs got further."""
    chance, observer = random.Random(slots), LeaseObserver()

    def steps() -> list[int]:
        return [run.step for run in store.runs.list(experiment_id=experiment_id)]

    for _ in range(kills):
        before = steps()
        with start_worker(store, experiment_id, slots, execution) as worker:
            while any(now < then + CHECKPOINT_STEPS for now, then in zip(steps(), before, strict=True)):
                assert worker.poll() is None, "the worker ended before it could be killed"
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.7))
            assert worker.poll() is None, "the worker ended before it could be killed"
            worker.kill()
        store.leases.reap(observer)
    with start_worker(store, experiment_id, slots, execution) as worker:
        worker.wait()


@pytest.fixture
def kill_at_random(store: Store, submit: Callable[..., list[Run]]) -> Callable[..., list[Run]]:
    """Train specs together in worker processes that are killed; return the runs as they ended."""

    def run(specs: Sequence[RunSpec], *, kills: int, execution: str = "sliced") -> list[Run]:
        runs = submit(specs)
        run_and_kill(store, runs[0].experiment_id, kills=kills, slots=len(specs), execution=execution)
        return [store.runs.get(one.id) for one in runs]

    return run
