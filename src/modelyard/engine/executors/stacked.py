"""Runs of one structure train as one model: one kernel per layer, however many they are."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from modelyard.engine.executors._base import take_turn
from modelyard.engine.executors.sliced import CHUNK_SECONDS
from modelyard.engine.learner import Step
from modelyard.engine.pool import SessionPool
from modelyard.engine.progress import Unit
from modelyard.engine.session import Session
from modelyard.engine.stack import Stack, stack_key


class Stacked:
    """Gives each turn to a group of runs that can share a stack; a run that cannot takes its turn alone."""

    def __init__(self, chunk_seconds: float = CHUNK_SECONDS) -> None:
        self._chunk_seconds = chunk_seconds
        self._limits: dict[str, int] = {}
        """The most members of a stack, by key, where a larger one could not take a step (it did not fit)."""

    def turn(self, pool: SessionPool, ready: list[Session]) -> None:
        """Train the group of the run that has the highest priority and has made the least progress."""
        waiting = sorted(ready, key=lambda one: (-one.priority, not one.trained, one.share()))
        key = stack_key(waiting[0].learner)
        group = waiting[:1]
        if key is not None:
            group = [one for one in waiting if stack_key(one.learner) == key][: self._limits.get(key)]
        if key is None or len(group) == 1:
            take_turn(pool, group[0], self._chunk_seconds)
        elif not _Turn(pool, group, self._chunk_seconds).train():
            self._limits[key] = max(1, len(group) // 2)
        for session in group:
            if session.open and session.blocked_since is None:
                pool.attempt(session, session.flush)


class _Turn:
    """One turn of one group. It ends early when a member leaves: the next turn stacks the others anew."""

    def __init__(self, pool: SessionPool, sessions: Sequence[Session], seconds: float) -> None:
        self._pool = pool
        self._sessions = tuple(sessions)
        self._end = time.monotonic() + seconds
        self._fits = True

    def train(self) -> bool:
        """Train until the time is over, a member leaves, or the pool is stopping; look for requests every step.

        Returns False if the stack could not take a step although each of its members could.
        """
        learners = [session.learner for session in self._sessions]
        for session in self._sessions:
            self._pool.attempt(session, partial(self._pool.residency.bring, session.learner, beside=learners))
        if self._all_here():
            with ExitStack() as cleanup:
                try:
                    stack = cleanup.enter_context(Stack(learners))
                except Exception:  # noqa: BLE001 - there is no room for another copy of all weights
                    return False
                cleanup.enter_context(self._clocks())
                self._rounds(stack)
        return self._fits

    def _rounds(self, stack: Stack) -> None:
        goes_on = True
        while goes_on:
            self._pool.obey()
            if self._all_here():
                self._round(stack)
            goes_on = self._goes_on()

    def _goes_on(self) -> bool:
        in_time = time.monotonic() < self._end and not self._pool.stopping.is_set()
        return in_time and self._fits and self._all_here()

    def _all_here(self) -> bool:
        return all(map(_is_here, self._sessions))

    @contextmanager
    def _clocks(self) -> Iterator[None]:
        for session in self._sessions:
            session.begin_turn()
        try:
            yield
        finally:
            for session in self._sessions:
                session.end_turn()

    def _round(self, stack: Stack) -> None:
        """Bring every member up to its next optimizer step, then do these together."""
        for session in self._sessions:
            if session.next_unit() is not Unit.TRAIN:
                self._evaluate(session)
        if not self._all_here() or any(session.next_unit() is not Unit.TRAIN for session in self._sessions):
            return
        steps: list[Step] = []
        for session in self._sessions:
            self._pool.attempt(session, partial(_begin, session, steps))
        if not self._all_here():
            return
        if not _same_sizes(steps):
            self._step_alone()
        elif self._together(stack, steps):
            for session, step in zip(self._sessions, steps, strict=True):
                self._pool.attempt(session, partial(_end, session, step))
        else:
            self._step_alone()
            self._fits = not self._all_here()

    def _together(self, stack: Stack, steps: Sequence[Step]) -> bool:
        """Compute all gradients; return whether that went well."""
        try:
            stack.backward(steps)
        except Exception:  # noqa: BLE001 - each member tries by itself: the one that is to blame fails with its reason
            return False
        return True

    def _evaluate(self, session: Session) -> None:
        """Evaluate, until the next optimizer step or the end of the run."""
        with self._alone(session):
            while _is_here(session) and not self._pool.stopping.is_set() and session.next_unit() is not Unit.TRAIN:
                self._pool.attempt(session, session.advance)
                self._pool.obey()

    def _step_alone(self) -> None:
        """Let each member do its next step from its start."""
        for session in self._sessions:
            with self._alone(session):
                self._pool.attempt(session, session.advance)

    @contextmanager
    def _alone(self, session: Session) -> Iterator[None]:
        session.learner.activate()
        self._pool.active = session
        try:
            yield
        finally:
            self._pool.active = None
            session.learner.deactivate()


def _begin(session: Session, steps: list[Step]) -> None:
    steps.append(session.learner.begin_step())


def _end(session: Session, step: Step) -> None:
    session.stepped(session.learner.end_step(step))


def _is_here(session: Session) -> bool:
    return session.open and session.blocked_since is None


def _same_sizes(steps: Sequence[Step]) -> bool:
    sizes = [[batch.inputs.shape for batch in step.micro_batches] for step in steps]
    return all(size == sizes[0] for size in sizes)
