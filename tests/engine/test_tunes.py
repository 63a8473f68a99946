"""Tunes across crashes, early stops and finished runs: the newest always wins."""

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Resume, Tune
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.engine.executors import Sliced, Solo
from modelyard.engine.pool import SessionPool
from modelyard.engine.session import Session
from modelyard.engine.worker import work
from modelyard.store import Store

MakeSpec = Callable[..., RunSpec]
Submit = Callable[..., list[Run]]
MakePool = Callable[..., SessionPool]


def train_to(pool: SessionPool, step: int) -> Session:
    """Train the only session of ``pool`` until it has done ``step`` steps, and write down what it said."""
    pool.fill()
    (session,) = pool.sessions
    session.activate()
    while session.learner.progress.step < step:
        pool.obey()
        session.advance()
    pool.obey()
    session.flush()
    return session


def lose(store: Store, session: Session) -> None:
    """End the session's process."""
    store.leases.unregister(session.lease.worker_id)


def obey_and_train(session: Session, store: Store, step: int) -> None:
    """Carry out what was asked for, train on to ``step`` and write it down."""
    for record in store.controls.pending([session.run.id]):
        session.obey(record)
    while session.learner.progress.step < step:
        session.advance()
    session.flush()


def test_a_newer_tune_wins_over_an_older_one_that_is_replayed(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool
) -> None:
    spec = make_spec(epochs=6, log_every=1, checkpoint={"every_steps": 4})
    (run,) = submit([spec.model_copy(update={"schedule": RunSpec().schedule})])
    first = train_to(make_pool(), 6)
    store.runs.request(run.id, Tune(learning_rate=0.5), actor="ada")
    obey_and_train(first, store, 7)
    lose(store, first)
    second = train_to(make_pool(), 5)  # goes on from step 4: before the step of the old tune
    store.runs.request(run.id, Tune(learning_rate=0.25), actor="ada")
    obey_and_train(second, store, 7)
    lose(store, second)
    work(make_pool(), Solo(), idle_seconds=0)
    rates = store.metrics.history(run.id, "learning_rate").values.tolist()
    assert (rates[4], rates[5], rates[-1]) == (0.003, 0.25, 0.25)
    assert 0.5 not in rates


def test_more_epochs_at_the_step_of_an_early_stop_survive_a_crash(
    store: Store,
    make_spec: MakeSpec,
    submit: Submit,
    make_pool: MakePool,
    outcome: Callable[[Run], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = {"metric": "val_loss", "patience": 1, "min_delta": 100.0}
    spec = make_spec(epochs=6, early_stopping=early, checkpoint={"every_steps": 3})
    advance = Session.advance
    ends = []
    for crash in (False, True):
        (run,) = submit([spec])
        done: list[Session] = []

        def watched(session: Session, done: list[Session] = done) -> None:
            advance(session)
            if session.learner.progress.stopped_early and not done:
                done.append(session)
                store.runs.request(session.run.id, Tune(epochs=session.learner.progress.epoch + 1), actor="ada")

        with monkeypatch.context() as patch:
            patch.setattr(Session, "advance", watched)
            pool = make_pool()
            if not crash:
                work(pool, Solo(), idle_seconds=0)
            else:
                pool.fill()
                (session,) = pool.sessions
                session.activate()
                while not done:
                    session.advance()
                pool.obey()
                lose(store, session)
        work(make_pool(), Solo(), idle_seconds=0)
        ends.append(outcome(store.runs.get(run.id)))
    assert ends[0]["step"] == ends[1]["step"]
    assert ends[0]["metrics"] == ends[1]["metrics"]
    assert ends[0]["files"]["training.safetensors"] == ends[1]["files"]["training.safetensors"]


@pytest.mark.parametrize("epochs", [10, 30])
def test_an_early_stopped_run_goes_on_when_it_is_given_epochs(
    epochs: int, store: Store, make_spec: MakeSpec, train: Callable[..., list[Run]], make_pool: MakePool
) -> None:
    early = {"metric": "val_loss", "patience": 2, "min_delta": 100.0}
    (run,) = train([make_spec(epochs=20, early_stopping=early)])
    assert (run.reason.code, run.epoch) == (ReasonCode.EARLY_STOPPED, 3)
    store.runs.request(run.id, Tune(epochs=epochs), actor="ada")
    store.runs.request(run.id, Resume(), actor="ada")
    work(make_pool(), Solo(), idle_seconds=0)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.epoch) == (RunState.COMPLETED, 5)  # its patience starts anew


def test_a_run_that_is_trained_does_not_wait_for_the_others(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool
) -> None:
    short, long = submit([make_spec(epochs=1), make_spec("cnn", epochs=50)])
    pool = make_pool(slots=2)
    pool.fill()
    executor = Sliced(chunk_seconds=0)
    while store.runs.get(short.id).state is RunState.RUNNING:
        executor.turn(pool, pool.ready())
    assert store.runs.get(long.id).step <= 150  # of 200: as far as the short one was before its last step
    pool.release_all()
