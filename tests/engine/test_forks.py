"""Runs with an identical past: one trains it, the others go on from there, and end as if each had trained alone."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.control import ControlOp, Pause, Resume, Stop, Tune
from modelyard.domain.events import PastShared
from modelyard.domain.run import FINAL, Run, RunState
from modelyard.engine.executors import Executor, Sliced, Solo, Stacked
from modelyard.engine.keeper import Keeper
from modelyard.engine.learner import Learner
from modelyard.engine.pool import SessionPool
from modelyard.engine.worker import work
from modelyard.store import LeaseObserver, Store
from modelyard.store.leased_write import LeasedWrite

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
Specs = Callable[[str], list[RunSpec]]
MakePool = Callable[..., SessionPool]

STEPS_PER_EPOCH = 4
EXECUTORS: dict[str, Callable[[], Executor]] = {
    "solo": Solo,
    "sliced": lambda: Sliced(chunk_seconds=0.0),
    "stacked": lambda: Stacked(chunk_seconds=0.0),
}
NEVER = {"metric": "val_accuracy", "mode": "max", "min_delta": 2.0}
"""No validation but the first is an improvement: such a run ends after 1 + patience epochs."""
FAMILIES: dict[str, list[dict[str, Any]]] = {
    "epochs": [{"epochs": 2}, {"epochs": 4}, {"epochs": 6}],
    "backwards": [{"epochs": 6}, {"epochs": 4}, {"epochs": 2}],
    "odd": [{"epochs": epochs, "evaluate_every": 2, "log_every": 3} for epochs in (3, 5)],
    "patience": [{"epochs": 6, "early_stopping": {**NEVER, "patience": patience}} for patience in (2, 4)],
    "stopped": [{"epochs": epochs, "early_stopping": {**NEVER, "patience": 2}} for epochs in (5, 7)],
    "impatience": [{"epochs": 6, "early_stopping": {**NEVER, "patience": patience}} for patience in (4, 2, 3)],
    "other rules": [
        {"epochs": 5, "early_stopping": {**NEVER, "patience": 3}},
        {"epochs": 6, "early_stopping": {"metric": "val_loss", "patience": 1, "min_delta": 0.5}},
        {"epochs": 7, "evaluate_every": 1},
    ],
    "stopping": [{"epochs": 6}, {"epochs": 6, "early_stopping": {**NEVER, "patience": 3}}],
    "schedule": [
        {"epochs": 4, "schedule": "constant"},
        {"epochs": 4, "schedule": {"name": "step", "every": 0.75}},
        {"epochs": 6, "schedule": {"name": "step", "every": 0.25}},
    ],
}


@pytest.fixture
def family(make_spec: Callable[..., RunSpec]) -> Specs:
    def build(name: str) -> list[RunSpec]:
        specs = []
        for changes in FAMILIES[name]:
            training = {name: value for name, value in changes.items() if name != "schedule"}
            spec = make_spec("mlp", "adamw", **training)
            schedule = changes.get("schedule", "constant")
            specs.append(RunSpec.model_validate({**spec.model_dump(), "schedule": schedule}))
        return specs

    return build


@pytest.fixture
def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The step numbers of every optimizer step that this process takes."""
    taken: list[int] = []
    end_step = Learner.end_step

    def counted(learner: Learner, step: Any) -> Any:
        done = end_step(learner, step)
        taken.append(learner.progress.step)
        return done

    monkeypatch.setattr(Learner, "end_step", counted)
    return taken


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, Any]]:
    """What became of specs that trained alone, by their hash."""
    return {}


@pytest.fixture
def alone(
    known: dict[str, dict[str, Any]], train: Train, outcome: Outcome
) -> Callable[[Sequence[RunSpec]], list[dict[str, Any]]]:
    """Return what becomes of each spec in an experiment of its own."""

    def describe(specs: Sequence[RunSpec]) -> list[dict[str, Any]]:
        for spec in specs:
            if spec.hash not in known:
                known[spec.hash] = outcome(train([spec])[0])
        return [known[spec.hash] for spec in specs]

    return describe


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_ends_as_if_it_had_trained_alone(
    executor: str, name: str, family: Specs, alone: Any, train: Train, outcome: Outcome
) -> None:
    specs = family(name)
    other = specs[0].model_copy(update={"seed": 7})  # beside them, with a past of its own
    runs = train([*specs, other], executor=EXECUTORS[executor](), slots=4)
    assert [outcome(run) for run in runs] == alone([*specs, other])
    assert [bool(run.shared_steps) for run in runs] == [False, *(True for _ in specs[1:]), False]


def test_the_steps_taken_are_the_edges_of_the_tree(family: Specs, train: Train, steps_taken: list[int]) -> None:
    train(family("epochs"), executor=EXECUTORS["sliced"](), slots=3)
    alone_after = [0, 2 * STEPS_PER_EPOCH - 1, 4 * STEPS_PER_EPOCH - 1]
    ends = [2 * STEPS_PER_EPOCH, 4 * STEPS_PER_EPOCH, 6 * STEPS_PER_EPOCH]
    edges = [list(range(start + 1, end + 1)) for start, end in zip(alone_after, ends, strict=True)]
    assert sorted(steps_taken) == sorted(step for edge in edges for step in edge)


def test_whose_steps_they_are_is_told(family: Specs, train: Train, store: Store) -> None:
    first, second, third = train(family("epochs"))
    assert (first.shared_steps, first.shared_with) == (0, "")
    assert (second.shared_steps, second.shared_with) == (7, first.name)
    assert (third.shared_steps, third.shared_with) == (15, second.name)
    told = [event.payload for event in store.events.read() if isinstance(event.payload, PastShared)]
    assert [(one.name, one.steps) for one in told] == [(first.name, 7), (first.name, 7), (second.name, 15)]
    lines = [line.text for line in store.logs.read(third.id)]
    assert lines[1].startswith(f"first 15 steps shared with {second.name}")
    speeds = store.metrics.history(third.id, "samples_per_second")
    assert speeds.steps.min() > 15, "it is not the speed of this run"


def test_equal_configs_and_what_is_measured_otherwise_share_nothing(
    family: Specs, make_spec: Callable[..., RunSpec], train: Train
) -> None:
    spec = family("epochs")[0]
    others = [spec, make_spec("mlp", "adamw", epochs=4), *(_training(spec, epochs=4, log_every=n) for n in (1, 3))]
    assert all(not run.shared_steps for run in train([spec, *others], slots=2))


def _training(spec: RunSpec, **changes: Any) -> RunSpec:
    return RunSpec.model_validate({**spec.model_dump(), "training": {**spec.training.model_dump(), **changes}})


# Disturbed.


class _Killed(BaseException):
    """Ends this process as far as the store can tell."""


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 4))])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_killed_at_random_places_each_ends_as_if_undisturbed(
    executor: str,
    seed: int,
    family: Specs,
    alone: Any,
    submit: Callable[..., list[Run]],
    make_pool: MakePool,
    outcome: Outcome,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = [*family("epochs"), *family("stopping")]
    expected = alone(specs)
    dice = random.Random(seed)
    lives = [dice.randint(1, 25) for _ in range(12)]
    _die_after(lives, monkeypatch)
    runs = submit(specs)
    while lives:
        pool = make_pool(slots=dice.randint(1, 4), experiment_id=runs[0].experiment_id)
        try:
            work(pool, EXECUTORS[executor](), idle_seconds=0.0)
        except _Killed:
            lives.pop(0)
            _lose(store, pool)
        else:
            break
    pool = make_pool(slots=2, experiment_id=runs[0].experiment_id)
    work(pool, EXECUTORS[executor](), idle_seconds=0.0)
    assert [outcome(store.runs.get(run.id)) for run in runs] == expected


def _die_after(lives: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise ``_Killed`` after each number of calls: of a step, of a checkpoint's files, of what records it."""

    def patch(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def mortal(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            if lives:
                lives[0] -= 1
                if lives[0] <= 0:
                    raise _Killed
            return result

        monkeypatch.setattr(kind, name, mortal)

    patch(Learner, "end_step")
    patch(Keeper, "drafts")
    patch(LeasedWrite, "checkpoint")
    patch(LeasedWrite, "lead")


def _lose(store: Store, pool: SessionPool) -> None:
    store.leases.unregister(pool._claims._worker_id)


@pytest.mark.long
def test_killed_processes_change_nothing(
    family: Specs, alone: Any, submit: Callable[..., list[Run]], outcome: Outcome, store: Store
) -> None:
    specs = [_training(spec, epochs=40 * spec.training.epochs) for spec in family("epochs")]
    expected = alone(specs)
    runs = submit(specs)
    dice, observer = random.Random(1), LeaseObserver()
    for _ in range(6):
        before = sum(run.step for run in store.runs.list(experiment_id=runs[0].experiment_id))
        with _start_worker(store, runs[0].experiment_id) as worker:
            while worker.poll() is None:
                if sum(run.step for run in store.runs.list(experiment_id=runs[0].experiment_id)) > before:
                    time.sleep(dice.uniform(0.0, 0.5))
                    worker.kill()
                time.sleep(0.01)
        store.leases.reap(observer)
    with _start_worker(store, runs[0].experiment_id) as worker:
        worker.wait()
    ended = [store.runs.get(run.id) for run in runs]
    assert max(run.attempt for run in ended) > 1
    assert [outcome(run) for run in ended] == expected


def _start_worker(store: Store, experiment_id: str) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "modelyard.engine.worker", f"--home={store.home.path}", "--idle-seconds=0"),
        *(f"--experiment={experiment_id}", "--execution=sliced", "--slots=3", "--chunk-seconds=0.02"),
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


LEAVING: dict[str, ControlOp] = {"paused": Pause(), "stopped": Stop(), "tuned": Tune(learning_rate=0.01)}


@pytest.mark.parametrize("how", [*LEAVING, "failed"])
def test_nobody_waits_for_a_leader_that_leaves_before_the_fork(
    how: str,
    family: Specs,
    alone: Any,
    submit: Callable[..., list[Run]],
    make_pool: MakePool,
    outcome: Outcome,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = family("epochs")
    expected = alone(specs)
    runs = submit(specs)
    pool = make_pool(slots=3, experiment_id=runs[0].experiment_id)
    pool.fill()
    assert [session.run.id for session in pool.sessions] == [runs[0].id], "the others wait"
    (session,) = pool.sessions
    session.activate()
    for _ in range(3):
        pool.attempt(session, session.advance)
    if how == "failed":
        pool.attempt(session, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    else:
        store.runs.request(runs[0].id, LEAVING[how], actor="test")
        pool.obey()
    session.deactivate()
    assert [store.runs.get(run.id).notice for run in runs[1:]] == ["", ""]
    work(pool, Solo(), idle_seconds=0.0)
    second, third = (store.runs.get(run.id) for run in runs[1:])
    assert [outcome(second), outcome(third)] == expected[1:]
    assert (second.shared_with, third.shared_with) == ("", second.name)
    assert store.runs.get(runs[0].id).state is (RunState.COMPLETED if how == "tuned" else RunState(how))


def test_paused_and_resumed_each_ends_as_if_undisturbed(
    family: Specs, alone: Any, outcome: Outcome, pause_at_random: Callable[..., tuple[list[Run], int]]
) -> None:
    specs = [*family("epochs"), *family("patience")]
    runs, pauses = pause_at_random(specs, Sliced(chunk_seconds=0.0), chance=0.5)
    assert pauses
    assert [outcome(run) for run in runs] == alone(specs)


@pytest.mark.parametrize("op", [Pause(), Tune(learning_rate=0.01)])
def test_a_follower_that_is_asked_for_something_waits_no_more(
    op: ControlOp, family: Specs, submit: Callable[..., list[Run]], make_pool: MakePool, store: Store
) -> None:
    runs = submit(family("epochs")[:2])
    pool = make_pool(slots=2, experiment_id=runs[0].experiment_id)
    pool.fill()
    store.runs.request(runs[1].id, op, actor="test")
    if isinstance(op, Pause):
        store.runs.request(runs[1].id, Resume(), actor="test")
    pool.fill()
    assert [session.run.id for session in pool.sessions] == [run.id for run in runs]
    work(pool, Solo(), idle_seconds=0.0)
    assert all(store.runs.get(run.id).state in FINAL and not store.runs.get(run.id).shared_steps for run in runs)


def test_an_idle_process_trains_a_follower_whose_leader_shares_its_process(
    family: Specs, submit: Callable[..., list[Run]], make_pool: MakePool, store: Store
) -> None:
    specs = family("epochs")[:2]
    runs = submit([specs[0], specs[0].model_copy(update={"seed": 7}), specs[1]])
    experiment = runs[0].experiment_id
    first, second = (make_pool(slots=slots, experiment_id=experiment) for slots in (1, 2))
    first.fill()
    assert len(first.sessions) == 1
    second.fill()
    assert [session.run.id for session in second.sessions] == [runs[1].id], "a busy process leaves the follower alone"
    idle = make_pool(slots=2, experiment_id=experiment)
    idle.fill()
    assert not idle.sessions, "its leader has a process to itself"
    assert idle.expects
    for pool in (first, second):
        pool.release_all()
    second.fill()
    assert len(second.sessions) == 2
    idle.fill()
    assert [session.run.id for session in idle.sessions] == [runs[2].id]
    for pool in (second, idle):
        pool.release_all()
