"""A store that cannot be written for a while: runs wait, and what waits in vain fails with its reason."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import StorageFullError, StoreError
from modelyard.domain.run import Lease, ReasonCode, Run, RunState
from modelyard.engine import claims, pool
from modelyard.engine.executors import Sliced, Solo
from modelyard.engine.pool import SessionPool
from modelyard.engine.residency import Placement, Tier
from modelyard.engine.worker import work
from modelyard.store import Store

MakeSpec = Callable[..., RunSpec]
Submit = Callable[..., list[Run]]
MakePool = Callable[..., SessionPool]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(claims, "RETRY_SECONDS", 0.05)


def failing(times: float, error: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``real`` that raises ``error`` the first so many times."""
    left = times

    def call(*args: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return real(*args, **more)

    return call


def test_a_disk_with_room_for_rows_but_not_for_checkpoints_fails_the_run_in_the_end(
    store: Store, submit: Submit, make_spec: MakeSpec, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = submit([make_spec(epochs=200)])
    seen: list[str] = []

    def refuse(chunks: Iterable[bytes]) -> BlobRef:
        seen.append(store.runs.get(run.id).notice)
        raise StorageFullError("the disk is full")

    monkeypatch.setattr(store.blobs, "put", refuse)
    work(make_pool(storage_patience=0.3), Solo(), idle_seconds=0)
    failed = store.runs.get(run.id)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.STORAGE_FULL)
    assert failed.step < 10
    assert set(seen) == {"", "waiting for storage: the disk is full"}, "said while it waits"
    assert failed.notice == ""
    assert store.logs.read(run.id)[-1].text.startswith("failed: the disk is full")
    assert sum(line.text.startswith("failed: ") for line in store.logs.read(run.id)) == 1
    assert any("waiting, since nothing could be written" in line.text for line in store.logs.read(run.id))


def test_a_database_that_is_away_for_a_moment_costs_nothing(
    store: Store,
    submit: Submit,
    make_spec: MakeSpec,
    make_pool: MakePool,
    train: Callable[..., list[Run]],
    outcome: Callable[[Run], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (undisturbed,) = train([make_spec()])
    (run,) = submit([make_spec()])
    session_pool = make_pool()
    away = StoreError("cannot reach the database")
    monkeypatch.setattr(store.leases, "claim", failing(1, away, store.leases.claim))
    session_pool.fill()
    assert session_pool.sessions == []
    monkeypatch.setattr(store, "write", failing(3, away, store.write))
    monkeypatch.setattr(store.controls, "pending", failing(3, away, store.controls.pending))
    work(session_pool, Solo(), idle_seconds=0.5)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.attempt) == (RunState.COMPLETED, 1), ended.reason
    assert outcome(ended) == outcome(undisturbed)


def test_a_checkpoint_that_could_not_be_recorded_leaves_no_pin(
    store: Store, submit: Submit, make_spec: MakeSpec, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit([make_spec()])
    session_pool = make_pool()
    session_pool.fill()
    (session,) = session_pool.sessions
    session.activate()
    for _ in range(20):
        session.advance()
    real: Callable[[Lease], Any] = store.write
    with monkeypatch.context() as patch:
        patch.setattr(store, "write", failing(3, StorageFullError("full"), real))
        for _ in range(3):
            with pytest.raises(StorageFullError):
                session.save()
    with store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blob_pins").scalar() == 0
    store.gc.collect()
    session.save()
    session_pool.release_all()
    for checkpoint in store.checkpoints.list(session.run.id):
        for blob in checkpoint.files.values():
            store.blobs.verify(blob.digest)


def test_a_broken_device_ends_the_process_and_the_other_runs_are_queued_again(
    store: Store, submit: Submit, make_spec: MakeSpec, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = submit([make_spec(), make_spec("cnn")])
    session_pool = make_pool(slots=2)
    session_pool.fill()

    def fail() -> int:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(session_pool.sessions[0].learner, "train_step", fail)
    work(session_pool, Sliced(chunk_seconds=0), idle_seconds=0)
    assert session_pool.broken
    assert store.runs.get(broken.id).state is RunState.FAILED
    store.leases.unregister(session_pool.sessions[0].lease.worker_id)
    assert store.runs.get(other.id).state is RunState.QUEUED


def test_tensors_that_could_not_be_spilled_can_be_later(
    store: Store, submit: Submit, make_spec: MakeSpec, make_pool: MakePool, tmp_path: Any
) -> None:
    submit([make_spec(optimizer="adamw")])
    session_pool = make_pool()
    session_pool.fill()
    (session,) = session_pool.sessions
    blocked = tmp_path / "file"
    blocked.write_text("")
    placement = Placement(session.learner, blocked / "folder")
    with pytest.raises(OSError, match="file"):
        placement.to(Tier.DISK)
    placement.to(Tier.DEVICE)
    session.activate()
    session.advance()  # now the optimizer has a state too
    placement.scratch = tmp_path / "folder"
    placement.to(Tier.DISK)
    placement.to(Tier.DEVICE)
    session.advance()
    session_pool.release_all()
