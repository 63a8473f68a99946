"""What users ask of live runs: carried out at the next step boundary, acknowledged, and never forgotten."""

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.control import OpStatus, Pause, Resume, Save, SetPriority, Stop, Tune
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.engine.executors import Sliced, Solo
from modelyard.engine.executors._base import take_turn
from modelyard.engine.pool import SessionPool
from modelyard.engine.session import Session
from modelyard.engine.worker import work
from modelyard.store import Store

MakeSpec = Callable[..., RunSpec]
Submit = Callable[..., list[Run]]
MakePool = Callable[..., SessionPool]


def after_steps(monkeypatch: pytest.MonkeyPatch, steps: int, act: Callable[[Session], Any]) -> list[int]:
    """Call ``act`` once, right after some session's optimizer step ``steps``; return the steps advanced since then."""
    advance, since = Session.advance, list[int]()
    acted = False

    def watched(session: Session) -> None:
        nonlocal acted
        if acted:
            since.append(session.learner.progress.step)
        advance(session)
        if not acted and session.learner.progress.step == steps:
            acted = True
            act(session)

    monkeypatch.setattr(Session, "advance", watched)
    return since


@pytest.mark.parametrize(
    ("op", "state"), [(Pause(), RunState.PAUSED), (Stop(), RunState.STOPPED)], ids=["pause", "stop"]
)
def test_acknowledged_before_another_step_begins(
    op: Pause | Stop,
    state: RunState,
    store: Store,
    make_spec: MakeSpec,
    submit: Submit,
    make_pool: MakePool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (run,) = submit([make_spec()])
    since = after_steps(monkeypatch, 4, lambda session: store.runs.request(session.run.id, op, actor="ada"))
    work(make_pool(), Solo(), idle_seconds=0)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.step, since) == (state, 4, [])
    (record,) = store.controls.history(run.id)
    assert (record.status, record.applied_step) == (OpStatus.ACKNOWLEDGED, 4)
    assert (ended.reason.code, "ada" in ended.reason.message) == (ReasonCode.USER_REQUEST, True)
    assert store.checkpoints.find(run.id, "last").step == 4


def test_a_run_that_waits_for_its_turn_obeys_within_a_step_too(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool
) -> None:
    submit([make_spec(), make_spec("cnn")])
    pool = make_pool(slots=2)
    pool.fill()
    active, waiting = pool.sessions
    store.runs.request(waiting.run.id, Pause(), actor="ada")
    take_turn(pool, active, seconds=0)
    assert active.learner.progress.step == 1
    assert store.runs.get(waiting.run.id).state is RunState.PAUSED
    assert pool.sessions == [active]


def test_tune_takes_effect_at_the_next_step(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(log_every=1).model_copy(update={"schedule": RunSpec().schedule})
    (run,) = submit([spec])
    op = Tune(learning_rate=0.5, weight_decay=0.0, epochs=2)
    after_steps(monkeypatch, 3, lambda session: store.runs.request(session.run.id, op, actor="ada"))
    work(make_pool(), Solo(), idle_seconds=0)
    rates = store.metrics.history(run.id, "learning_rate").values.tolist()
    assert rates[:3] == [0.003] * 3
    assert set(rates[3:]) == {0.5}
    assert store.runs.get(run.id).epoch == 2
    assert any("learning_rate=0.5" in line.text for line in store.logs.read(run.id))


def test_a_tune_is_replayed_when_the_run_goes_back_to_an_older_checkpoint(
    store: Store,
    make_spec: MakeSpec,
    submit: Submit,
    make_pool: MakePool,
    outcome: Callable[[Run], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec(checkpoint={"every_steps": 4})
    op = Tune(learning_rate=0.01, epochs=4)
    ends = []
    for disturbed in (False, True):
        (run,) = submit([spec])
        with monkeypatch.context() as patch:
            after_steps(patch, 6, lambda session: store.runs.request(session.run.id, op, actor="ada"))
            if not disturbed:
                work(make_pool(), Solo(), idle_seconds=0)
            else:
                pool = make_pool()
                pool.fill()
                (session,) = pool.sessions
                session.activate()
                while session.learner.progress.step < 7:
                    pool.obey()
                    session.advance()
                session.flush()
                store.leases.unregister(session.lease.worker_id)  # the process is gone; step 4 was saved
        if disturbed:
            work(make_pool(), Solo(), idle_seconds=0)
        ends.append(outcome(store.runs.get(run.id)))
    assert ends[0]["step"] == ends[1]["step"]
    assert ends[0] == {**ends[1], "files": ends[0]["files"]}
    tensors = ("model.safetensors", "training.safetensors", "state.safetensors")
    assert [ends[0]["files"][name] for name in tensors] == [ends[1]["files"][name] for name in tensors]


def test_a_finished_run_goes_on_with_more_epochs(
    store: Store, make_spec: MakeSpec, train: Callable[..., list[Run]], make_pool: MakePool
) -> None:
    (run,) = train([make_spec(epochs=1)])
    store.runs.request(run.id, Tune(epochs=2), actor="ada")
    store.runs.request(run.id, Resume(), actor="ada")
    work(make_pool(), Solo(), idle_seconds=0)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.epoch, ended.attempt) == (RunState.COMPLETED, 2, 2)


def test_save_on_request(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = submit([make_spec(checkpoint={"keep": 10})])
    after_steps(monkeypatch, 5, lambda session: store.runs.request(session.run.id, Save(), actor="ada"))
    work(make_pool(), Solo(), idle_seconds=0)
    assert 5 in [checkpoint.step for checkpoint in store.checkpoints.list(run.id)]


def test_the_highest_priority_takes_its_turns_first(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool
) -> None:
    low, high = submit([make_spec(), make_spec("cnn")])
    pool = make_pool(slots=2)
    pool.fill()
    pool.obey()
    store.runs.request(high.id, SetPriority(priority=5), actor="ada")
    executor = Sliced(chunk_seconds=0)
    while store.runs.get(high.id).state is RunState.RUNNING:
        pool.obey()
        executor.turn(pool, pool.ready())
    assert store.runs.get(low.id).step <= 1
    pool.release_all()


def test_the_process_ends_by_queueing_its_runs_again(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = submit([make_spec(), make_spec("cnn")])
    pool = make_pool(slots=2)
    after_steps(monkeypatch, 5, lambda _: pool.stopping.set())
    work(pool, Sliced(chunk_seconds=0.01), idle_seconds=0)
    for run in runs:
        now = store.runs.get(run.id)
        assert (now.state, now.reason.code, now.worker_id) == (RunState.QUEUED, ReasonCode.RELEASED, None)
        assert store.checkpoints.find(run.id, "last").step == now.step


def test_a_pause_that_comes_while_the_process_ends_is_not_lost(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool
) -> None:
    (run,) = submit([make_spec()])
    pool = make_pool()
    pool.fill()
    pool.obey()
    store.runs.request(run.id, Pause(), actor="ada")
    pool.release_all()
    assert store.runs.get(run.id).state is RunState.PAUSED


def test_a_run_that_took_its_process_down_twice_is_alone_until_it_has_saved(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool
) -> None:
    suspect, other = submit([make_spec(), make_spec("cnn")])
    store.runs.request(other.id, Pause(), actor="ada")
    for _ in range(2):
        pool = make_pool()
        pool.fill()
        store.leases.unregister(pool.sessions[0].lease.worker_id)
    pool = make_pool(slots=2)
    pool.fill()
    store.runs.request(other.id, Resume(), actor="ada")
    pool.fill()
    assert [session.run.id for session in pool.sessions] == [suspect.id]
    pool.sessions[0].save()
    pool.fill()
    assert [session.run.id for session in pool.sessions] == [suspect.id, other.id]
    pool.release_all()
