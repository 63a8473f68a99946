"""A full disk makes a run wait, then fail with its reason; nothing that was recorded is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Resume
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.engine.executors import Solo
from modelyard.engine.pool import SessionPool
from modelyard.engine.session import Session
from modelyard.engine.worker import work
from modelyard.store import Store

MakeSpec = Callable[..., RunSpec]
Submit = Callable[..., list[Run]]
MakePool = Callable[..., SessionPool]
Outcome = Callable[[Run], dict[str, Any]]


@pytest.fixture
def home(disk: Any) -> Path:
    """The home of every store in this file is on the small disk."""
    return disk.path / "home"


def fill_after(monkeypatch: pytest.MonkeyPatch, disk: Any, steps: int) -> None:
    advance = Session.advance

    def watched(session: Session) -> None:
        if session.learner.progress.step == steps:
            disk.fill()
        advance(session)

    monkeypatch.setattr(Session, "advance", watched)


def test_a_run_waits_for_space_and_goes_on_as_if_nothing_had_been(
    disk: Any,
    store: Store,
    submit: Submit,
    make_spec: MakeSpec,
    make_pool: MakePool,
    outcome: Outcome,
    train: Callable[..., list[Run]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (undisturbed,) = train([make_spec()])
    (run,) = submit([make_spec()])
    pool = make_pool()
    with monkeypatch.context() as patch:
        fill_after(patch, disk, 5)
        pool.fill()
        executor = Solo()
        while pool.sessions and pool.sessions[0].blocked_since is None:
            executor.turn(pool, pool.sessions)
    assert pool.sessions, store.runs.get(run.id).reason
    disk.empty()
    work(pool, Solo(), idle_seconds=0)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.attempt) == (RunState.COMPLETED, 1)
    assert outcome(ended)["metrics"] == outcome(undisturbed)["metrics"]


def test_a_disk_that_stays_full_fails_the_run_and_a_resume_loses_nothing(
    disk: Any,
    store: Store,
    submit: Submit,
    make_spec: MakeSpec,
    make_pool: MakePool,
    outcome: Outcome,
    train: Callable[..., list[Run]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (undisturbed,) = train([make_spec()])
    (run,) = submit([make_spec()])
    pool = make_pool(storage_patience=0.0)
    with monkeypatch.context() as patch:
        fill_after(patch, disk, 5)
        pool.fill()
        while pool.sessions and pool.sessions[0].blocked_since is None:
            Solo().turn(pool, pool.sessions)
    disk.empty()
    work(pool, Solo(), idle_seconds=0)
    failed = store.runs.get(run.id)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.STORAGE_FULL)
    assert "free some space and resume" in failed.reason.message
    assert sum(line.text.startswith("failed: ") for line in store.logs.read(run.id)) == 1
    store.runs.request(run.id, Resume(), actor="test")
    work(make_pool(), Solo(), idle_seconds=0)
    assert outcome(store.runs.get(run.id)) == outcome(undisturbed)
    report = store.gc.collect(dry_run=True)
    assert report.temp_files == 0
