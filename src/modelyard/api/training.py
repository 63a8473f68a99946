"""Trains an experiment in the foreground: engines under a supervisor, a view that is kept up to date, Ctrl-C."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from types import FrameType
from typing import Protocol

from modelyard.agent.presence import home_agent
from modelyard.agent.supervisor import Supervisor
from modelyard.agent.warm_engines import WarmEngines
from modelyard.api.onlooker import Onlooker
from modelyard.api.operations import request_runs, settle, settle_unknown
from modelyard.api.progress import ProgressReader, Snapshot
from modelyard.api.search import SearchDriver, can_decide, first_trials, is_scored, search_failure, until_epoch
from modelyard.api.snapshot import keep_code, with_code_of
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause, Resume
from modelyard.domain.errors import RunFailedError, SearchFailedError, StorageFullError, StoreError
from modelyard.domain.events import Event
from modelyard.domain.plan import Execution, Plan
from modelyard.domain.run import ACTIVE, FINAL, Experiment, Run, RunState
from modelyard.scheduler.planner import Wishes
from modelyard.scheduler.search.search import OVER
from modelyard.store import Store

_REFRESH_SECONDS = 0.25
_EVENTS_PER_READ = 1000


@dataclass(frozen=True, kw_only=True)
class Resources:
    """How much of the machine to use, and how; None leaves it to the planner."""

    execution: Execution | None = None
    processes: int | None = None
    """Engine processes."""
    slots: int | None = None
    """Runs in training at the same time in each process."""

    def wishes(self) -> Wishes:
        """Return what the planner is asked for."""
        return Wishes(execution=self.execution, processes=self.processes, slots=self.slots)


class Ending(Enum):
    """Why foreground training ended."""

    IDLE = auto()
    """No run is queued or in training any more."""
    PAUSED = auto()
    """Ctrl-C: all runs were paused."""
    KILLED = auto()
    """A second Ctrl-C: engines were killed, their runs are queued again from their last checkpoints."""
    TERMINATED = auto()
    """SIGTERM: engines saved checkpoints and gave their runs back."""


class View(Protocol):
    """Shows the progress of an experiment."""

    def planned(self, plan: Plan) -> None:
        """Show how the runs will be trained; called first, and again when a process was added."""
        ...

    def update(self, snapshot: Snapshot, events: Sequence[Event]) -> None:
        """Show a new snapshot, and what happened since the one before."""
        ...

    def say(self, message: str) -> None:
        """Show one line about the training itself."""
        ...


class NoView:
    """Shows nothing."""

    def planned(self, plan: Plan) -> None:
        """Do nothing."""

    def update(self, snapshot: Snapshot, events: Sequence[Event]) -> None:
        """Do nothing."""

    def say(self, message: str) -> None:
        """Do nothing."""


def create(store: Store, sweep: SweepSpec, specs: Sequence[RunSpec], *, actor: str, go_on: bool = False) -> Experiment:
    """Create the experiment of a sweep and queue its runs.

    ``go_on`` looks for the newest experiment of the same sweep that is not finished, resumes its paused runs and
    returns it instead; if all are finished, the newest one, with nothing left to do. Raises ``RunFailedError`` if that
    one has failed runs, or its search failed.
    A search that decides begins with its first trials, whatever ``specs`` holds.
    """
    sweep = with_code_of(sweep, specs)
    if go_on:
        settle(store)
        same = [one for one in store.experiments.list(project=sweep.project) if one.sweep_hash == sweep.hash]
        for experiment in same:
            pausing = store.runs.list(experiment_id=experiment.id, states={RunState.PAUSING})
            settle_unknown(store, pausing)
            runs = store.runs.list(experiment_id=experiment.id)
            goes_on = any(run.state in ACTIVE or run.state in {RunState.QUEUED, RunState.PAUSED} for run in runs)
            # First, since it refuses a search that this version cannot go on with: before any run is changed.
            if can_decide(store, experiment) or goes_on:
                paused = [run for run in runs if run.state is RunState.PAUSED and not run.waits_for_search]
                request_runs(store, paused, Resume(), actor=actor)
                return experiment
        if same:
            _refuse_failed(store, same[0])
            return same[0]
    keep_code(store, specs)
    if not sweep.search.decides:
        return store.experiments.create(sweep, specs, actor=actor)
    trials = first_trials(sweep)
    specs, ends = [trial.spec for trial in trials], [until_epoch(trial) for trial in trials]
    return store.experiments.create(sweep, specs, until_epochs=ends, scored=is_scored(sweep), actor=actor)


def is_finished(store: Store, experiment: Experiment) -> bool:
    """Whether an experiment has nothing left to train and nothing to decide."""
    runs = store.runs.list(experiment_id=experiment.id)
    return all(run.state in FINAL for run in runs) and not can_decide(store, experiment)


def _refuse_failed(store: Store, experiment: Experiment) -> None:
    failed = store.runs.list(experiment_id=experiment.id, states={RunState.FAILED})
    if failed:
        raise runs_failed(
            f"{len(failed)} of {experiment.run_count} runs of {experiment.name} failed; to try them again: "
            f"modelyard resume {experiment.name}; to start anew, leave out --continue",
            failed,
        )
    if why := search_failure(store, experiment):
        raise search_failed(experiment, why)


def runs_failed(headline: str, failed: Sequence[Run]) -> RunFailedError:
    """Return the error that names each run and why it failed."""
    return RunFailedError("\n".join([headline, *(f"  {run.name}: {run.why}" for run in failed)]))


def search_failed(experiment: Experiment, why: str) -> SearchFailedError:
    """Return the error that says why the search of an experiment could decide nothing."""
    return SearchFailedError(f"the search of {experiment.name} failed: {why.removeprefix(OVER)}")


def train_experiment(
    store: Store,
    experiment: Experiment,
    *,
    resources: Resources,
    view: View,
    actor: str,
    warm: WarmEngines | None = None,
) -> Ending:
    """Train until no run of the experiment is queued or active, and its search has nothing to decide about.

    Where an agent trains whatever is queued in the home, and no ``resources`` are asked for, it is left to that one.
    Processes of ``warm`` are used first. Ctrl-C pauses all runs, and the search with them; a second one kills engines.
    """
    reader = ProgressReader(store, experiment.id, experiment.name)
    searching = Searching(store, experiment)
    seen = store.events.last_seq()
    with _signals() as signals, _trainer(store, experiment, resources, warm) as supervisor:
        view.update(reader.read(curves=False), ())  # what was there before: a view tells news from it
        supervisor.start()
        plan = supervisor.plan
        view.planned(plan)
        pausing = False
        said = ""
        while True:
            if not pausing:
                searching.poll(view.say)
            status = supervisor.poll()
            if supervisor.plan != plan:
                plan = supervisor.plan
                view.planned(plan)
            if status.message != said:
                said = status.message
                view.say(said)
            events = store.events.read(after=seen, limit=_EVENTS_PER_READ, experiment_id=experiment.id)
            seen = events[-1].seq if events else seen
            view.update(reader.read(), events)
            if signals.terminated:
                return Ending.TERMINATED
            if signals.interrupts > 1:
                supervisor.kill()
                with suppress(StoreError):  # a full disk must not keep the engines from being killed, nor us
                    settle(store)
                return Ending.KILLED
            if signals.interrupts == 1 and not pausing:
                pausing = True
                view.say("pausing all runs; press Ctrl-C again to end at once (runs go on from their last checkpoint)")
            if pausing:
                # Also runs that were queued again meanwhile (a lost process) are asked.
                with suppress(StorageFullError):  # the supervisor says it; asked again at the next look
                    request_runs(store, store.runs.list(experiment_id=experiment.id), Pause(), actor=actor)
            if status.idle and pausing:
                return Ending.PAUSED
            if status.idle and not searching.poll(view.say):
                return Ending.IDLE
            time.sleep(_REFRESH_SECONDS)


def _trainer(
    store: Store, experiment: Experiment, resources: Resources, warm: WarmEngines | None
) -> Supervisor | Onlooker:
    """Return what trains the experiment, or looks on where an agent of the home does."""

    def make() -> Supervisor:
        return Supervisor(
            store,
            experiment_id=experiment.id,
            execution=resources.execution,
            processes=resources.processes,
            slots=resources.slots,
            warm=warm,
        )

    if resources != Resources() or home_agent(store) is None:
        return make()
    if warm is not None:
        warm.end()
    return Onlooker(store, experiment.id, make)


class Searching:
    """Polls an experiment's search, if it has one, and says how it stands."""

    def __init__(self, store: Store, experiment: Experiment) -> None:
        self._driver = SearchDriver.open(store, experiment)
        self._said = ""
        self._told_end = self._driver is not None and self._driver.settled

    @property
    def over(self) -> bool:
        """Whether there is nothing left to decide or to do."""
        return self._driver is None or self._driver.settled

    def poll(self, say: Callable[[str], None]) -> bool:
        """Move it on; return whether anything happened. What the home refuses now is tried again at the next poll."""
        if self._driver is None:
            return False
        try:
            moved = self._driver.poll()
        except StoreError as error:
            self._tell(f"the search waits: {error}", say)
            return True
        if self._driver.ending and not self._told_end:
            self._told_end = True
            say(self._driver.ending)
        self._tell("" if moved else self._driver.waits_for(), say)
        return moved

    def _tell(self, message: str, say: Callable[[str], None]) -> None:
        if message and message != self._said:
            say(message)
        self._said = message


class _Signals:
    """Counts what was received while training in the foreground."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.terminated = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self.interrupts += 1
        else:
            self.terminated = True


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Count Ctrl-C and SIGTERM instead of being torn out of a write; only the main thread can."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, signals.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
