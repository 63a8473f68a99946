"""What several runs say is written in one transaction, and what is wrong with one of them is no harm to the others."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import FencedError, StorageFullError
from modelyard.domain.run import Run
from modelyard.engine.pool import SessionPool
from modelyard.engine.session import Session
from modelyard.store import Store
from modelyard.store.database import Database

Transactions = list[None]


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> Transactions:
    """Count the write transactions."""
    counted: Transactions = []
    write = Database.write

    def counting(database: Database) -> object:
        counted.append(None)
        return write(database)

    monkeypatch.setattr(Database, "write", counting)
    return counted


@pytest.fixture
def sessions(
    submit: Callable[..., list[Run]], make_pool: Callable[..., SessionPool], make_spec: Callable[..., RunSpec]
) -> Iterator[list[Session]]:
    """Three open sessions, each with something to say."""
    submit([make_spec() for _ in range(3)])
    pool = make_pool(slots=3)
    pool.fill()
    for session in pool.sessions:
        session.recorder.line(f"of {session.run.name}")
        session.recorder.validation(1, 3, {"val_loss": 0.5}, b"")
    yield list(pool.sessions)
    pool.release_all()


@pytest.fixture
def pool(make_pool: Callable[..., SessionPool]) -> SessionPool:
    return make_pool()


def says(store: Store, session: Session) -> int:
    """How often what the session had to say is in its log."""
    return [line.text for line in store.logs.read(session.run.id)].count(f"of {session.run.name}")


def test_one_transaction_writes_all(
    store: Store, sessions: list[Session], pool: SessionPool, transactions: Transactions
) -> None:
    del transactions[:]
    pool.flush(sessions)
    assert len(transactions) == 1
    for session in sessions:
        assert says(store, session) == 1
        assert store.searches.evaluations(session.run.id) == {1: {"val_loss": 0.5}}


def test_a_run_that_was_taken_away_is_no_harm_to_the_others(
    store: Store, sessions: list[Session], pool: SessionPool
) -> None:
    taken, *others = sessions
    taken.lease = replace(taken.lease, token=taken.lease.token - 1)  # as if it had been claimed again since
    with pytest.raises(FencedError):
        Session.flush_together(sessions)
    assert [says(store, session) for session in sessions] == [0, 0, 0], "nothing is written by half"
    pool.flush(sessions)
    assert [says(store, session) for session in others] == [1, 1]
    assert says(store, taken) == 0
    assert not taken.open
    assert all(session.open for session in others)


def test_a_full_disk_delays_all_and_loses_nothing(
    store: Store, sessions: list[Session], pool: SessionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Database) -> None:
        raise StorageFullError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(Database, "write", refuse)
        pool.flush(sessions)
    assert all(session.blocked_since is not None for session in sessions)
    for session in sessions:
        session.unblock()
        session.flush()
        assert says(store, session) == 1
