"""The open sessions of one worker process: claims runs, carries out requests, and keeps one run's failure its own."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from modelyard.domain.control import ControlRecord
from modelyard.domain.errors import ConflictError, FencedError, StorageFullError, StoreError
from modelyard.domain.run import Reason
from modelyard.engine.claims import PATIENCE_SECONDS, RETRY_SECONDS, Claims
from modelyard.engine.failures import breaks_the_device, is_passing, reason_for, traceback_lines
from modelyard.engine.opening import Opener
from modelyard.engine.residency import Residency
from modelyard.engine.session import Session
from modelyard.store import Store
from modelyard.tasks.usercode import RAISED

LOOK_SECONDS = 1.0
"""Longest time between two looks for requests: one may have rung on another machine, or not at all."""


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
        structures: Sequence[str] = (),
        storage_patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.sessions: list[Session] = []
        self.stopping = threading.Event()
        """Set by anyone who wants the process to end; turns end at the next step boundary."""
        self.broken = False
        """Whether the device cannot be used any more; the process must end, and saves nothing."""
        self.active: Session | None = None
        """The session whose turn it is."""
        self.residency = residency
        self._store = store
        self._claims = Claims(store, worker_id, opener, experiment_id=experiment_id, patience=storage_patience)
        self._slots = slots
        self._preferred = tuple(structures)
        self._patience = storage_patience
        self._alone = False
        self._heard: int | None = None
        self._look_again_at = 0.0

    # Claiming.

    def fill(self) -> None:
        """Claim queued runs for the free slots, as far as there is memory for them.

        A run that took its process down twice has the process to itself until it has saved a checkpoint.
        """
        if self._alone and any(not session.proven for session in self.sessions):
            return
        self._alone = False
        while self._has_room() and self._take(isolated=False):
            pass
        if not self.busy:
            self._alone = self._take(isolated=True)

    def _has_room(self) -> bool:
        return len(self.sessions) + self._claims.waiting < self._slots and self.residency.has_room()

    @property
    def busy(self) -> bool:
        """Whether this process owns any run."""
        return bool(self.sessions) or self._claims.waiting > 0

    @property
    def expects(self) -> bool:
        """Whether a run is queued that waits for another process's."""
        return self._claims.expected()

    def _take(self, *, isolated: bool) -> bool:
        wanted = self._structures()
        if self.stopping.is_set() or not self._claims.take(isolated=isolated, structures=wanted, idle=not self.busy):
            return False
        self._open_due()
        return True

    def _structures(self) -> list[str]:
        """Return which runs to take first: like most of those here, which costs the least, then as planned."""
        counts = Counter(session.run.structure for session in self.sessions)
        return [*(structure for structure, _ in counts.most_common(1)), *self._preferred]

    def _open_due(self) -> None:
        for session in self._claims.open_due():
            self.residency.add(session.learner, self._store.home.scratch(session.run.id))
            self.sessions.append(session)
            self._heard = None

    # Working.

    def ready(self) -> list[Session]:
        """Return the sessions that can train now: all but those that wait because nothing can be written."""
        self._open_due()
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
        except RAISED as error:  # the process boundary of one run: whatever it is, it fails this run
            if is_passing(error):
                self._wait(session, error)
            else:
                self._fail(session, reason_for(error), traceback_lines(error))
            if breaks_the_device(error):
                self.broken = True
                self.stopping.set()
        if not session.open:
            self._remove(session)

    def flush(self, sessions: Sequence[Session]) -> None:
        """Write down what these said; in one transaction, which costs little more than that of one of them."""
        if len(sessions) > 1:
            try:
                Session.flush_together(sessions)
            except RAISED:  # each by itself: the one that is to blame fails with its reason
                pass
            else:
                return
        for session in sessions:
            self.attempt(session, session.flush)

    def _wait(self, session: Session, error: BaseException) -> None:
        session.block(RETRY_SECONDS, str(error))
        assert session.blocked_since is not None
        if time.monotonic() - session.blocked_since >= self._patience:
            self._fail(session, reason_for(error), [])
        elif isinstance(error, StorageFullError):
            _try(session, session.flush)  # there may be room to say why, though there is none for a checkpoint

    def _fail(self, session: Session, reason: Reason, lines: list[str]) -> None:
        refusal = _try(session, lambda: session.fail(reason, lines))
        if refusal is not None:
            session.doom(reason)
            session.block(RETRY_SECONDS, str(refusal))

    def _remove(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
            session.learner.close()
            self.residency.remove(session.learner)

    def say(self, line: str) -> None:
        """Add a line to the log of the run whose turn it is."""
        if self.active is not None:
            self.active.recorder.line(line)

    # The user.

    def obey(self) -> None:
        """Carry out what was asked for since the last look; costs a tenth of a microsecond when nothing was."""
        rung = self._store.doorbell.value()
        now = time.monotonic()
        if rung == self._heard and now < self._look_again_at:
            return
        self._look_again_at = now + LOOK_SECONDS
        try:
            run_ids = [session.run.id for session in self.sessions]
            pending = self._store.controls.pending(run_ids)
            priorities = self._store.runs.priorities(run_ids)
        except StoreError:
            return  # at the next look
        self._heard = rung
        for session in list(self.sessions):
            session.priority = priorities.get(session.run.id, session.priority)
            for record in pending:
                if record.run_id == session.run.id and session.open:
                    self._carry_out(session, record)

    def _carry_out(self, session: Session, record: ControlRecord) -> None:
        self._unless_superseded(session, lambda: session.obey(record))
        if session.open and session.blocked_since is not None:
            self._heard = None  # it is still pending

    def _unless_superseded(self, session: Session, act: Callable[[], None]) -> None:
        """Do ``act``, which saves; look at the requests again if another one came first (a stop after a pause)."""

        def work() -> None:
            self.residency.reach(session.learner)
            try:
                act()
            except FencedError:
                raise
            except ConflictError:
                self._heard = None

        self.attempt(session, work)

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
        self._unless_superseded(session, session.release)
        if session.blocked_since is not None:
            self._remove(session)


def _try(session: Session, write: Callable[[], None]) -> Exception | None:
    """Do ``write``; return why it cannot be done now. A session whose run belongs to somebody else is closed."""
    try:
        write()
    except FencedError:
        session.open = False
    except Exception as error:
        if not is_passing(error):
            raise
        return error
    return None
