"""Takes queued runs and opens them; what cannot be read or written for a while is tried again, not given up."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.domain.errors import FencedError
from modelyard.domain.run import Lease, Reason, Run, RunState
from modelyard.engine.failures import is_passing, reason_for, traceback_lines
from modelyard.engine.opening import Opener
from modelyard.engine.session import Session
from modelyard.store import Store
from modelyard.tasks.usercode import RAISED

RETRY_SECONDS = 2.0
"""How long to wait before the store is tried again."""
PATIENCE_SECONDS = 300.0
"""How long a disk may stay full, or a database away, before a run is failed; its newest checkpoint stays."""


@dataclass
class _Claim:
    """A run that this process owns and that is not open yet."""

    run: Run
    lease: Lease
    since: float
    retry_at: float
    failure: Reason | None = None
    """Why it cannot be opened at all, to be written as soon as that is possible."""
    lines: tuple[str, ...] = ()


class Claims:
    """Claims runs for one worker."""

    def __init__(
        self, store: Store, worker_id: str, opener: Opener, *, experiment_id: str | None, patience: float
    ) -> None:
        self._store = store
        self._worker_id = worker_id
        self._opener = opener
        self._experiment_id = experiment_id
        self._patience = patience
        self._waiting: list[_Claim] = []
        self._claim_after = 0.0

    @property
    def waiting(self) -> int:
        """How many claimed runs are not open yet."""
        return len(self._waiting)

    def take(self, *, isolated: bool, structures: Sequence[str], idle: bool) -> bool:
        """Claim one run, to be opened, of the first of ``structures`` that has one; return whether there was any.

        ``idle``: whether this process has no other run.
        """
        now = time.monotonic()
        if now < self._claim_after:
            return False
        try:
            claimed = self._store.leases.claim(
                self._worker_id,
                limit=1,
                experiment_id=self._experiment_id,
                isolated=isolated,
                structures=structures,
                idle=idle,
            )
        except Exception as error:
            if not is_passing(error):
                raise
            self._claim_after = now + RETRY_SECONDS
            return False
        self._waiting += [_Claim(run, lease, since=now, retry_at=now) for run, lease in claimed]
        return bool(claimed)

    def expected(self) -> bool:
        """Whether a run is queued that waits for another one, and so may come here later."""
        try:
            return self._store.leases.awaited(experiment_id=self._experiment_id)
        except Exception as error:
            if not is_passing(error):
                raise
            return False

    def open_due(self) -> list[Session]:
        """Open the claimed runs that are due; return the new sessions."""
        now = time.monotonic()
        opened = []
        for claim in [claim for claim in self._waiting if claim.retry_at <= now]:
            self._waiting.remove(claim)
            if claim.failure is not None:
                self._fail(claim, claim.failure)
            elif (session := self._open(claim)) is not None:
                opened.append(session)
        return opened

    def _open(self, claim: _Claim) -> Session | None:
        try:
            return self._opener.open(claim.run, claim.lease)
        except FencedError:
            return None
        except RAISED as error:  # the process boundary of one run: whatever it is, it fails this run
            if is_passing(error) and time.monotonic() - claim.since < self._patience:
                self._wait(claim)
            else:
                claim.lines = tuple(traceback_lines(error))
                self._fail(claim, reason_for(error))
            return None

    def _fail(self, claim: _Claim, reason: Reason) -> None:
        claim.failure = reason
        try:
            with self._store.write(claim.lease) as write:
                write.lines([*claim.lines, f"failed: {reason.message}"])
                write.transition(RunState.FAILED, reason)
        except FencedError:
            return
        except Exception as error:
            if not is_passing(error):
                raise
            self._wait(claim)

    def _wait(self, claim: _Claim) -> None:
        claim.retry_at = time.monotonic() + RETRY_SECONDS
        self._waiting.append(claim)
