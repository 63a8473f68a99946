"""The open sessions of one worker process: claims runs, carries out requests, and keeps one run's failure its own."""

import threading
import time
from collections.abc import Callable

from modelyard.domain.control import ControlRecord
from modelyard.domain.errors import ConflictError, FencedError, StorageFullError
from modelyard.domain.run import Lease, Reason, Run, RunState
from modelyard.engine.failures import reason_for, traceback_lines
from modelyard.engine.opening import Opener
from modelyard.engine.residency import Residency
from modelyard.engine.session import Session
from modelyard.store import Store

LONGEST_DEAFNESS_SECONDS = 1.0
"""How long a request can wait that rang on another machine, whose doorbell is not heard here."""
STORAGE_RETRY_SECONDS = 2.0
"""How long a run waits before it tries to write to a full disk again."""
STORAGE_PATIENCE_SECONDS = 300.0
"""How long the disk may stay full before the run is failed; its newest checkpoint stays."""


class SessionPool:
    """The sessions that one process holds, at most ``slots``."""

    def __init__(
        self,
        *,
        store: Store,
        worker_id: str,
        opener: Opener,
        residency: Residency,
        slots: int,
        experiment_id: str | None = None,
        storage_patience: float = STORAGE_PATIENCE_SECONDS,
    ) -> None:
        self.sessions: list[Session] = []
        self.stopping = threading.Event()
        """Set by anyone who wants the process to end; turns end at the next step boundary."""
        self.active: Session | None = None
        """The session whose turn it is."""
        self.residency = residency
        self._store = store
        self._worker_id = worker_id
        self._opener = opener
        self._slots = slots
        self._experiment_id = experiment_id
        self._storage_patience = storage_patience
        self._alone = False
        self._heard: int | None = None
        self._far = store.database_url is not None  # others may use this database from machines of their own
        self._look_again_at = 0.0

    # Claiming.

    def fill(self) -> None:
        """Claim queued runs for the free slots.

        A run that took its process down twice has the process to itself until it has saved a checkpoint.
        """
        if self._alone and any(not session.proven for session in self.sessions):
            return
        self._alone = False
        while len(self.sessions) < self._slots and not self.stopping.is_set() and self._claim(isolated=False):
            pass
        if not self.sessions and not self.stopping.is_set():
            self._alone = self._claim(isolated=True)

    def _claim(self, *, isolated: bool) -> bool:
        claimed = self._store.leases.claim(
            self._worker_id, limit=1, experiment_id=self._experiment_id, isolated=isolated
        )
        for run, lease in claimed:
            self._open(run, lease)
        return bool(claimed)

    def _open(self, run: Run, lease: Lease) -> None:
        try:
            session = self._opener.open(run, lease)
        except FencedError:
            return
        except Exception as error:  # noqa: BLE001 - the process boundary of one run: whatever it is, it fails this run
            self._fail_unopened(lease, error)
            return
        self.residency.add(session.learner, self._store.home.scratch(run.id))
        self.sessions.append(session)
        self._heard = None

    def _fail_unopened(self, lease: Lease, error: Exception) -> None:
        try:
            with self._store.write(lease) as write:
                write.lines(traceback_lines(error))
                write.transition(RunState.FAILED, reason_for(error))
        except (FencedError, StorageFullError):
            # The lease ends with this process; the run is claimed again and fails then.
            return

    # Working.

    def ready(self) -> list[Session]:
        """Return the sessions that can train now: all but those that wait for a full disk."""
        now = time.monotonic()
        for session in [one for one in self.sessions if one.blocked_since is not None and one.retry_at <= now]:
            self.attempt(session, session.unblock)
        return [session for session in self.sessions if session.blocked_since is None]

    def attempt(self, session: Session, work: Callable[[], None]) -> None:
        """Do ``work`` for ``session``. Whatever it raises ends or delays this session only."""
        try:
            work()
        except FencedError:
            session.open = False
        except StorageFullError as error:
            self._storage_full(session, error)
        except Exception as error:  # noqa: BLE001 - the process boundary of one run: whatever it is, it fails this run
            self._fail(session, reason_for(error), traceback_lines(error))
        if not session.open:
            self._remove(session)

    def _storage_full(self, session: Session, error: StorageFullError) -> None:
        session.block(STORAGE_RETRY_SECONDS)
        assert session.blocked_since is not None
        if time.monotonic() - session.blocked_since >= self._storage_patience:
            self._fail(session, reason_for(error), [])

    def _fail(self, session: Session, reason: Reason, lines: list[str]) -> None:
        try:
            session.fail(reason, lines)
        except FencedError:
            session.open = False
        except StorageFullError:
            session.doom(reason)
            session.block(STORAGE_RETRY_SECONDS)

    def _remove(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
            self.residency.remove(session.learner)

    def say(self, line: str) -> None:
        """Add a line to the log of the run whose turn it is."""
        if self.active is not None:
            self.active.recorder.line(line)

    # The user.

    def obey(self) -> None:
        """Carry out what was asked for since the last look; costs a tenth of a microsecond when nothing was."""
        rung = self._store.doorbell.value()
        if rung == self._heard and not (self._far and time.monotonic() >= self._look_again_at):
            return
        self._heard = rung
        self._look_again_at = time.monotonic() + LONGEST_DEAFNESS_SECONDS
        run_ids = [session.run.id for session in self.sessions]
        pending = self._store.controls.pending(run_ids)
        priorities = self._store.runs.priorities(run_ids)
        for session in list(self.sessions):
            session.priority = priorities.get(session.run.id, session.priority)
            for record in pending:
                if record.run_id == session.run.id and session.open:
                    self._carry_out(session, record)

    def _carry_out(self, session: Session, record: ControlRecord) -> None:
        def work() -> None:
            self.residency.reach(session.learner)
            try:
                session.obey(record)
            except FencedError:
                raise
            except ConflictError:
                self._heard = None  # superseded while it was carried out (a stop after a pause): look again

        self.attempt(session, work)
        if session.open and session.blocked_since is not None:
            self._heard = None  # it is still pending

    # The end.

    def release_all(self) -> None:
        """Save every run and queue it again for another process.

        A run that cannot be saved now goes on from an older checkpoint, when its lease is found lost.
        """
        while self.sessions:
            self._heard = None
            self.obey()  # a run that is to be paused or stopped must not be queued
            for session in list(self.sessions):
                self._release(session)

    def _release(self, session: Session) -> None:
        def work() -> None:
            self.residency.reach(session.learner)
            try:
                session.release()
            except FencedError:
                raise
            except ConflictError:
                self._heard = None  # asked to pause or stop in this moment: obey that first

        self.attempt(session, work)
        if session.blocked_since is not None:
            self._remove(session)
