"""A run that was moved to another home ends as if it had stayed: same weights, same metrics, bit for bit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from modelyard.api.bundles import export_bundle, import_bundle
from modelyard.api.targets import find_target
from modelyard.domain.config import RunSpec
from modelyard.domain.control import Pause, Resume, Tune
from modelyard.domain.plan import Execution
from modelyard.domain.run import Run, RunState
from modelyard.engine.executors import Solo
from modelyard.engine.opening import Opener, Placing
from modelyard.engine.pool import SessionPool
from modelyard.engine.residency import Residency
from modelyard.engine.session import Session
from modelyard.engine.worker import work
from modelyard.store import Store, open_store

MakeSpec = Callable[..., RunSpec]
Submit = Callable[..., list[Run]]


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Store]:
    """The home that runs are moved to."""
    with open_store(tmp_path / "away") as opened:
        yield opened


def pool_of(store: Store) -> SessionPool:
    placing = Placing(device=torch.device("cpu"), execution=Execution.SOLO, reason="a test", compiles=False)
    return SessionPool(
        store=store,
        worker_id=store.leases.register(kind="engine"),
        opener=Opener(store, placing),
        residency=Residency(device_bytes=None, host_bytes=None),
        slots=1,
    )


def train_to(store: Store, step: int) -> Session:
    pool = pool_of(store)
    pool.fill()
    (session,) = pool.sessions
    session.activate()
    while session.learner.progress.step < step:
        pool.obey()
        session.advance()
    pool.obey()
    session.flush()
    return session


def end_of(store: Store, run: Run) -> dict[str, Any]:
    """Train what is queued, and return all that must not differ."""
    work(pool_of(store), Solo(), idle_seconds=0)
    last = store.checkpoints.find(run.id, "last")
    ended = store.runs.get(run.id)
    return {
        "state": ended.state,
        "step": ended.step,
        "files": {name: blob.digest for name, blob in last.files.items()},
        "metrics": {
            name: (series.steps.tolist(), series.values.tolist())
            for name in store.metrics.names(run.id)
            if name != "samples_per_second"
            for series in [store.metrics.history(run.id, name)]
        },
        "evaluations": store.searches.evaluations(run.id),
    }


def move(store: Store, away: Store, ref: str, folder: Path) -> None:
    export_bundle(store, find_target(store, ref), folder / "moved.zip", actor="ada")
    import_bundle(away, folder / "moved.zip", actor="joe")


def test_a_paused_run_goes_on_elsewhere_as_it_would_have_here(
    store: Store, away: Store, make_spec: MakeSpec, submit: Submit, tmp_path: Path
) -> None:
    (never_moved,) = submit([make_spec()], "stays")
    expected = end_of(store, never_moved)
    (run,) = submit([make_spec()], "moves")
    session = train_to(store, 4)
    store.runs.request(run.id, Pause(), actor="ada")
    session.obey(store.controls.pending([run.id])[0])
    assert (store.runs.get(run.id).state, store.runs.get(run.id).step) == (RunState.PAUSED, 4)
    move(store, away, run.id, tmp_path)
    assert away.runs.get(run.id).state is RunState.PAUSED
    away.runs.request(run.id, Resume(), actor="joe")
    assert end_of(away, run) == expected
    assert expected["state"] is RunState.COMPLETED
    assert store.runs.get(run.id).step == 4, "where it comes from, it stays as it was"


def test_a_tune_after_the_last_checkpoint_is_replayed_elsewhere(
    store: Store, away: Store, make_spec: MakeSpec, submit: Submit, tmp_path: Path
) -> None:
    """Its number is one of the home it was asked in, and so is the one in the checkpoint; here others are taken."""
    take_numbers(store, submit, make_spec)
    spec = make_spec(epochs=6, log_every=1, checkpoint={"every_steps": 4})
    (run,) = submit([spec.model_copy(update={"schedule": RunSpec().schedule})], "tuned")
    session = train_to(store, 3)
    store.runs.request(run.id, Tune(learning_rate=0.25), actor="ada")
    obey_and_train(session, store, run, 6)
    store.runs.request(run.id, Tune(learning_rate=0.125), actor="ada")
    obey_and_train(session, store, run, 7)
    move(store, away, run.id, tmp_path)
    moved = away.runs.get(run.id)
    assert (moved.state, moved.step) == (RunState.PAUSED, 4)
    store.leases.unregister(session.lease.worker_id)
    expected = end_of(store, run)
    away.runs.request(run.id, Resume(), actor="joe")
    found = end_of(away, run)
    assert found == expected
    rates = found["metrics"]["learning_rate"][1]
    assert (rates[2], rates[4], rates[6], rates[-1]) == (0.003, 0.25, 0.125, 0.125)


def test_a_tune_of_an_imported_run_survives_a_crash(
    store: Store, away: Store, make_spec: MakeSpec, submit: Submit, tmp_path: Path
) -> None:
    take_numbers(store, submit, make_spec)
    (run,) = submit([make_spec(epochs=6, log_every=1, checkpoint={"every_steps": 4})])
    session = train_to(store, 2)
    for _ in range(5):
        store.runs.request(run.id, Tune(weight_decay=0.1), actor="ada")
    obey_and_train(session, store, run, 5)
    move(store, away, run.id, tmp_path)
    away.runs.request(run.id, Resume(), actor="joe")
    there = train_to(away, 5)
    asked = away.runs.request(run.id, Tune(weight_decay=0.7), actor="joe")
    obey_and_train(there, away, run, 6)
    away.leases.unregister(there.lease.worker_id)
    work(pool_of(away), Solo(), idle_seconds=0)
    said = [line.text for line in away.logs.read(run.id)]
    assert said.count("step 5: tuned weight_decay=0.7") == 2, "once when it was asked for, once when it was replayed"
    assert away.runs.get(run.id).state is RunState.COMPLETED
    assert asked.sequence == asked.id


def test_a_clone_of_an_imported_run_starts_from_its_weights(
    store: Store, away: Store, make_spec: MakeSpec, submit: Submit, tmp_path: Path
) -> None:
    (run,) = submit([make_spec()])
    end_of(store, run)
    move(store, away, run.id, tmp_path)
    homes = []
    for home in (store, away):
        last = home.checkpoints.find(run.id, "last")
        clone = home.runs.clone(run.id, make_spec(epochs=4), warm_start=last.id, inherit_optimizer=True, actor="ada")
        homes.append(end_of(home, clone))
    assert homes[0] == homes[1]


def take_numbers(store: Store, submit: Submit, make_spec: MakeSpec) -> None:
    """Let requests of a home have higher numbers than they would have in another one."""
    (other,) = submit([make_spec()], "other")
    for _ in range(7):
        store.runs.request(other.id, Tune(weight_decay=0.1), actor="ada")
    store.runs.request(other.id, Pause(), actor="ada")


def obey_and_train(session: Session, store: Store, run: Run, step: int) -> None:
    for record in store.controls.pending([run.id]):
        session.obey(record)
    while session.learner.progress.step < step:
        session.advance()
    session.flush()
