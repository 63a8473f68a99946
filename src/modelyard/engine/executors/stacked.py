"""Runs of one structure train as one model: one kernel per layer, however many they are."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.plan import Execution
from modelyard.engine.executors._base import StepTimes, first_in_line, has_reached, left_behind, take_turn, until
from modelyard.engine.executors.lockstep import catch_up
from modelyard.engine.executors.sliced import CHUNK_SECONDS
from modelyard.engine.executors.trials import Trials
from modelyard.engine.failures import first_line
from modelyard.engine.known_times import KnownTimes
from modelyard.engine.pool import SessionPool
from modelyard.engine.progress import Unit
from modelyard.engine.session import Session
from modelyard.engine.stack import Stack, stack_key
from modelyard.engine.step import Step
from modelyard.engine.stride import free_steps
from modelyard.tasks.usercode import RAISED

OPENING_SHARE = 0.02
"""Opening a stack copies all weights; a turn is at least so long that this takes no larger share of it."""


class Stacked:
    """Gives each turn to a group of runs that can share a stack; a run that cannot takes its turn alone.

    If it ``measures``, a group trains as one model only where that is faster. A turn takes ``chunk_seconds``.
    """

    def __init__(
        self, chunk_seconds: float = CHUNK_SECONDS, *, measures: bool = False, known: KnownTimes | None = None
    ) -> None:
        self._chunk_seconds = chunk_seconds
        self._measures = measures
        self._known = known
        self._trials: dict[str, Trials] = {}

    def turn(self, pool: SessionPool, ready: list[Session]) -> None:
        """Train the group of the run that has the highest priority and has made the least progress."""
        waiting = first_in_line(ready)
        key = stack_key(waiting[0].learner)
        group = waiting[:1]
        if key is not None:
            group = [one for one in waiting if stack_key(one.learner) == key]
        if key is None or len(group) == 1:
            if not group[0].trained:
                group[0].execute(Execution.SLICED, reason=self._why_alone(key))
            take_turn(pool, group[0], self._chunk_seconds)
        else:
            group = self._together(pool, group, self._trials_for(key, group))
        pool.flush([session for session in group if _is_here(session)])

    def _why_alone(self, key: str | None) -> str:
        """Return why a run takes turns by itself, where that is not what anybody would expect."""
        if key in self._trials:
            return self._trials[key].refusal
        if self._measures:
            return ""
        return "it cannot be stacked" if key is None else "no other run of its structure is in this process"

    def _trials_for(self, key: str, group: Sequence[Session]) -> Trials:
        """Return the trials of a structure; the first time, with what is known from before."""
        if key not in self._trials:
            self._trials[key] = Trials()
            if self._measures and self._known is not None:
                self._trials[key].recall(*self._known.recall(_specs(group)))
        return self._trials[key]

    def _together(self, pool: SessionPool, group: list[Session], trials: Trials) -> list[Session]:
        """Train the group in the way that is to be tried next, or that is the fastest; return who is to write."""
        trial = trials.wanted(len(group)) if self._measures else None
        choice = trials.choice(len(group))
        members = trial or choice.members
        behind = catch_up(group, fully=trial is not None) if members > 1 or trial else None
        turn = (group if behind is None else behind.sessions)[:members]
        steps = None if behind is None else behind.steps
        if trial is None:
            execution = Execution.SLICED if choice.members == 1 else Execution.STACKED
            for session in group if behind else turn:
                session.execute(execution, members=choice.members, gain=choice.gain, reason=choice.reason)
        # All take part in a trial, for as many steps, so that they stay together.
        times = StepTimes(parts=-(-len(group) // members)) if trial == len(turn) else None
        if len(turn) == 1:
            take_turn(pool, turn[0], self._chunk_seconds, times=times, steps=steps)
        elif not (together := _Turn(pool, turn, self._chunk_seconds, times, steps)).train():
            trials.does_not_fit(len(turn), together.why_not)
        if times is not None and (times.full or steps is not None):
            trials.add(len(turn), times.settled)
        if trial is not None and catch_up(group, fully=True) is None:
            trials.go_on()
            if self._known is not None and (news := trials.news()):
                self._known.keep(_specs(group), news)
        return turn if trial is None else []  # trials are short: each member has its next turn soon


class _Turn:
    """One turn of one group. It ends early when a member leaves: the next turn stacks the others anew."""

    def __init__(
        self,
        pool: SessionPool,
        sessions: Sequence[Session],
        seconds: float,
        times: StepTimes | None = None,
        steps: int | None = None,
    ) -> None:
        self._pool = pool
        self._sessions = tuple(sessions)
        self._others = [session for session in pool.sessions if session not in self._sessions]
        self._draws = any(session.learner.problem.draws_in_evaluation for session in sessions)
        self._seconds = seconds
        self._times = times
        self._until = until(self._sessions[0], steps)
        self._end = 0.0
        self._fits = True
        self.why_not = ""
        """What kept the stack from taking a step."""

    def train(self) -> bool:
        """Train until the time is over, a member leaves, or the pool is stopping; look for requests every step.

        Returns False if the stack could not take a step although each of its members could.
        """
        learners = [session.learner for session in self._sessions]
        for session in self._sessions:
            self._pool.attempt(session, partial(self._pool.residency.bring, session.learner, beside=learners))
        if self._all_here():
            start = time.monotonic()
            with ExitStack() as cleanup:
                try:
                    stack = cleanup.enter_context(Stack(learners))
                except RAISED as error:  # there is no room for another copy of all weights
                    self.why_not = first_line(error)
                    return False
                cleanup.enter_context(self._clocks())
                opened = time.monotonic()
                seconds = max(self._seconds, (opened - start) / OPENING_SHARE)
                self._end = opened + (seconds if self._times is None and self._until is None else math.inf)
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
        if self._pool.stopping.is_set() or has_reached(self._sessions[0], self._until, self._times):
            return False
        behind = self._times is None and self._others
        if behind and any(left_behind(session, self._others) for session in self._sessions):
            return False
        return time.monotonic() < self._end and self._fits and self._all_here()

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
        self._evaluate()
        if not self._all_here() or self._pool.stopping.is_set():
            return
        start = time.perf_counter()
        if self._stride(stack, start):
            return
        steps: list[Step] = []
        for session in self._sessions:
            self._pool.attempt(session, partial(_begin, session, steps))
        if not self._all_here():
            return
        if len(shortest := _shortest(self._sessions, steps)) < len(steps):
            self._step_alone(shortest)  # the others wait: their next steps have equal sizes again
        elif self._together(stack, steps):
            with torch.no_grad():  # once for all, since each would ask for it
                for session, step in zip(self._sessions, steps, strict=True):
                    self._pool.attempt(session, partial(_end, session, step))
            self._write(self._sessions, Unit.TRAIN)
            if self._times is not None:
                self._times.add(time.perf_counter() - start)
        else:
            self._step_alone(self._sessions)
            self._fits = not self._all_here()

    def _stride(self, stack: Stack, start: float) -> bool:
        """Let all take several steps, if there is nothing to look at between them; return whether they did."""
        first = self._sessions[0].learner.progress.step
        count = min(map(free_steps, self._sessions))
        strides = stack.take_steps(count if self._until is None else min(count, self._until - first))
        if not strides:
            return False
        for session, done in zip(self._sessions, strides, strict=True):
            self._pool.attempt(session, partial(session.stepped, done))
        self._write(self._sessions, Unit.TRAIN)
        if self._times is not None:
            count = self._sessions[0].learner.progress.step - first
            self._times.add((time.perf_counter() - start) / count, count)
        return True

    def _together(self, stack: Stack, steps: Sequence[Step]) -> bool:
        """Compute all gradients; return whether that went well."""
        try:
            stack.backward(steps)
        except RAISED as error:  # each member tries by itself: the one that is to blame fails with its reason
            self.why_not = first_line(error)
            return False
        return True

    def _evaluate(self) -> None:
        """Evaluate, all batch by batch, until everyone's next optimizer step or the end of their runs."""
        while not self._pool.stopping.is_set():
            here = [session for session in self._sessions if _is_here(session)]
            waiting = [(session, unit) for session in here if (unit := session.next_unit()) is not Unit.TRAIN]
            if not waiting:
                return
            if waiting[0][1] is Unit.PREPARE:  # features are the same for all: one member sees to them
                waiting = waiting[:1]
            for session, unit in waiting:
                with self._alone(session) if self._draws else self._heard(session):
                    self._pool.attempt(session, partial(session.work, unit))
            self._write([session for session, _ in waiting], Unit.VALIDATE)
            self._pool.obey()

    def _write(self, sessions: Sequence[Session], unit: Unit) -> None:
        """Write down what is due after ``unit``."""
        for session in sessions:
            if _is_here(session) and session.checkpoint_due(unit):
                self._pool.attempt(session, session.save)
        if any(session.recorder.due for session in sessions):
            self._pool.flush([session for session in self._sessions if _is_here(session)])

    def _step_alone(self, sessions: Sequence[Session]) -> None:
        """Let each of them do its next step from its start."""
        for session in sessions:
            with self._alone(session):
                self._pool.attempt(session, session.advance)

    @contextmanager
    def _alone(self, session: Session) -> Iterator[None]:
        session.learner.activate()
        try:
            with self._heard(session):
                yield
        finally:
            session.learner.deactivate()

    @contextmanager
    def _heard(self, session: Session) -> Iterator[None]:
        """What is printed meanwhile belongs to the session's log."""
        self._pool.active = session
        try:
            yield
        finally:
            self._pool.active = None


def _specs(group: Sequence[Session]) -> list[RunSpec]:
    return [session.run.spec for session in group]


def _begin(session: Session, steps: list[Step]) -> None:
    steps.append(session.learner.begin_step())


def _end(session: Session, step: Step) -> None:
    session.stepped(session.learner.end_step(step))


def _is_here(session: Session) -> bool:
    return session.open and session.blocked_since is None


def _shortest(sessions: Sequence[Session], steps: Sequence[Step]) -> list[Session]:
    """Return those of the fewest samples: all of them where micro-batches have equal sizes."""
    if all(step.micro_batches is steps[0].micro_batches for step in steps):
        return list(sessions)
    sizes = [[batch.shapes for batch in step.micro_batches] for step in steps]
    least = min(zip(steps, sizes, strict=True), key=lambda one: one[0].samples)[1]
    return [session for session, size in zip(sessions, sizes, strict=True) if size == least]
