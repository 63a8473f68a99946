"""Clones of runs that train, pause or lose checkpoints in the very moment of the clone."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.api.cloning import clone
from modelyard.api.training import create
from modelyard.domain.checkpoint import CheckpointDraft
from modelyard.domain.config import SweepSpec
from modelyard.domain.control import Pause
from modelyard.domain.errors import ConflictError, NotFoundError
from modelyard.domain.run import Lease, Reason, ReasonCode, Run, RunState
from modelyard.scheduler.search.expand import expand
from modelyard.store import Store


@pytest.fixture
def running(store: Store, sweep: dict[str, Any]) -> tuple[Run, Lease]:
    spec = SweepSpec.model_validate(sweep)
    create(store, spec, expand(spec), actor="test")
    ((run, lease),) = store.leases.claim(store.leases.register(), limit=1)
    return run, lease


@pytest.fixture
def save(store: Store) -> Callable[..., str]:
    def save_at(lease: Lease, step: int, *, to: RunState | None = None) -> str:
        blob = store.blobs.put([f"weights at {step}".encode()])
        draft = CheckpointDraft(
            step=step, epoch=0, files={"model.safetensors": blob}, metrics={}, best=False, resumable=True
        )
        with store.write(lease) as write:
            write.checkpoint(draft, keep=1)
            if to is not None:
                write.transition(to, Reason(code=ReasonCode.USER_REQUEST, message="as asked"))
        return store.checkpoints.find(lease.run_id, "last").id

    return save_at


@pytest.fixture
def nobody_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.api.cloning._save_now", lambda *_: None)


@pytest.fixture
def replaced(
    store: Store, running: tuple[Run, Lease], save: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Any]:
    """Have the run save another checkpoint between the look-up and the clone, so many times."""
    original = store.runs.clone
    steps = iter(range(2, 1000))

    def arrange(times: int) -> None:
        left = iter(range(times))

        def late(*arguments: Any, **options: Any) -> Run:
            if next(left, None) is not None:
                save(running[1], next(steps))
            return original(*arguments, **options)

        monkeypatch.setattr(store.runs, "clone", late)

    return arrange


def test_a_checkpoint_that_is_replaced_meanwhile_is_looked_for_again(
    store: Store, running: tuple[Run, Lease], save: Any, replaced: Any, nobody_saves: None
) -> None:
    save(running[1], 1)
    replaced(3)
    cloned = clone(store, running[0], {}, warm_start="last", actor="test")
    assert cloned.run.warm_start == store.checkpoints.find(running[0].id, "last").id
    assert store.checkpoints.get(cloned.run.warm_start).step == 4


def test_the_search_ends(
    store: Store, running: tuple[Run, Lease], save: Any, replaced: Any, nobody_saves: None
) -> None:
    save(running[1], 1)
    replaced(1000)
    with pytest.raises(NotFoundError, match="replaced by a newer one"):
        clone(store, running[0], {}, warm_start="last", actor="test")


def test_a_parent_that_pauses_is_waited_for(store: Store, running: tuple[Run, Lease], save: Any) -> None:
    run, lease = running
    save(lease, 1)
    store.runs.request(run.id, Pause(), actor="test")
    saving = threading.Timer(0.3, save, [lease, 2], {"to": RunState.PAUSED})
    saving.start()
    cloned = clone(store, store.runs.get(run.id), {}, warm_start="last", actor="test")
    saving.join()
    assert cloned.run.warm_start is not None
    assert store.checkpoints.get(cloned.run.warm_start).step == 2, "the weights as of now"


def test_a_parent_that_never_pauses_is_told(
    store: Store, running: tuple[Run, Lease], save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.api.cloning.DEFAULT_TIMEOUT", 0.1)
    run, lease = running
    save(lease, 1)
    store.runs.request(run.id, Pause(), actor="test")
    with pytest.raises(ConflictError, match="is still pausing"):
        clone(store, store.runs.get(run.id), {}, warm_start="last", actor="test")
