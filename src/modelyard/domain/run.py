"""The life cycle of a run: its states, the reasons for each change, and the one table of allowed changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from modelyard.domain.config import RunSpec
from modelyard.domain.control import ControlRecord, Pause, Stop
from modelyard.domain.errors import ConflictError
from modelyard.domain.plan import Execution


class RunState(StrEnum):
    """Where a run is in its life. ``TRANSITIONS`` says what may follow what."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"


ACTIVE = frozenset({RunState.RUNNING, RunState.PAUSING, RunState.STOPPING})
"""States in which exactly one engine process holds the run's lease."""

FINAL = frozenset({RunState.COMPLETED, RunState.STOPPED, RunState.FAILED})
"""States that only an explicit resume leaves."""


class ReasonCode(StrEnum):
    """Why a state changed, for machines. ``Reason.message`` says the same for people."""

    CREATED = "created"
    CLONED = "cloned"
    CLAIMED = "claimed"
    FINISHED = "finished"
    EARLY_STOPPED = "early_stopped"
    USER_REQUEST = "user_request"
    LEASE_LOST = "lease_lost"
    RELEASED = "released"
    RETRIES_EXHAUSTED = "retries_exhausted"
    NON_FINITE_LOSS = "non_finite_loss"
    OUT_OF_MEMORY = "out_of_memory"
    BAD_INPUT = "bad_input"
    STORAGE_FULL = "storage_full"
    RUNG = "rung"
    """It waits for the search that made it."""
    PROMOTED = "promoted"
    """The search lets it train on."""
    SEARCH = "search"
    """The search ended it."""
    MEMORY = "memory"
    """It was paused for lack of memory, and goes on by itself."""
    IMPORTED = "imported"
    """It did not end in the home that it was imported from."""
    ERROR = "error"


class Reason(BaseModel):
    """Why a state changed: a code for machines and one sentence for people."""

    model_config = ConfigDict(frozen=True)

    code: ReasonCode
    message: str


def asked_for(record: ControlRecord) -> Reason:
    """Return the reason for what an operation asks for."""
    if isinstance(record.op, Stop) and record.op.reason is not None:
        return Reason(code=ReasonCode.SEARCH, message=record.op.reason)
    if isinstance(record.op, Pause) and record.op.reason is not None:
        return Reason(code=ReasonCode.MEMORY, message=record.op.reason)
    return Reason(code=ReasonCode.USER_REQUEST, message=f"asked for by {record.actor}")


_S = RunState

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    _S.QUEUED: frozenset({_S.RUNNING, _S.PAUSED, _S.STOPPED, _S.FAILED}),
    _S.RUNNING: frozenset({_S.COMPLETED, _S.PAUSING, _S.PAUSED, _S.STOPPING, _S.FAILED, _S.QUEUED}),
    _S.PAUSING: frozenset({_S.PAUSED, _S.STOPPING, _S.COMPLETED, _S.FAILED}),
    _S.STOPPING: frozenset({_S.STOPPED, _S.COMPLETED, _S.FAILED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.STOPPED}),
    _S.STOPPED: frozenset({_S.QUEUED}),
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.COMPLETED: frozenset({_S.QUEUED}),
}
"""Every allowed change. A completed run is queued again only after its number of epochs was raised."""

WHEN_LEASE_LOST: dict[RunState, RunState] = {
    _S.RUNNING: _S.QUEUED,
    _S.PAUSING: _S.PAUSED,
    _S.STOPPING: _S.STOPPED,
}
"""Where an active run goes when the process that owned it died."""


def check_transition(run_name: str, current: RunState, to: RunState) -> None:
    """Raise ``ConflictError`` unless ``current`` may become ``to``."""
    if to not in TRANSITIONS[current]:
        raise ConflictError(f"run {run_name} is {current.value}, so it cannot become {to.value}")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A snapshot of one run as it was when it was read."""

    id: str
    name: str
    project: str
    experiment_id: str
    experiment: str
    state: RunState
    reason: Reason
    notice: str
    """What a run waits for (space on the disk, the run that trains its first steps), or an empty string."""
    spec_json: str
    """The config snapshot, as canonical JSON. It never changes; ``spec`` parses it."""
    spec_hash: str
    structure: str
    """Equal for runs that can train as one model."""
    execution: str
    """How it trains, or trained last: ``solo``, ``sliced``, ``stacked``, ``compiled``; empty before it started."""
    stack_size: int
    """How many runs train as one model with it, itself included."""
    stack_gain: float | None
    """How many times as fast as taking turns uncompiled that was measured to be, stacked or compiled."""
    parent_id: str | None
    """The run that this one was cloned from."""
    warm_start: str | None
    """Checkpoint id whose weights the run starts from."""
    inherit_optimizer: bool
    """Whether the optimizer state of ``warm_start`` is taken over too."""
    forked: bool
    """Whether it goes on from ``warm_start`` with all of its state, position included."""
    trial: int | None
    """Its number in the search that made it."""
    until_epoch: int | None
    """Where it pauses by itself for the search to decide; None trains to its end."""
    scored: bool
    """Whether its validations keep the score of each sample."""
    past: str
    """Equal for runs that may begin with the same steps."""
    shared_steps: int
    """How many of its first steps another run trained, which were taken over with all that was measured."""
    shared_with: str
    """The name of that run."""
    priority: int
    attempt: int
    """Number of the newest attempt; 0 before the first claim."""
    step: int
    """Optimizer steps done, as last recorded."""
    total_steps: int | None
    """Optimizer steps in all; None until the data has been opened."""
    epoch: int
    """Whole epochs done."""
    total_epochs: int | None
    """Epochs in all, as the engine counts them; None until the run has been opened."""
    worker_id: str | None
    """The engine process that holds the lease, while there is one."""
    summary: Mapping[str, float]
    """The last value of each metric."""
    fingerprints: Mapping[str, str]
    """SHA-256 of the data set, the code and the environment, fixed by the first attempt."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def why(self) -> str:
        """What to tell people about its state, on one line."""
        return " ".join((self.notice or self.reason.message).split())

    @property
    def waits_for_search(self) -> bool:
        """Whether it is paused at a rung of its search, and not by a person."""
        return self.state is RunState.PAUSED and self.reason.code is ReasonCode.RUNG

    @property
    def how(self) -> str:
        """How it trains, in short: ``solo``, ``stacked 8 (2.1x)``, ``compiled (1.3x)``; empty before it started."""
        members = f" {self.stack_size}" if self.stack_size > 1 else ""
        return f"{self.execution}{members}" + ("" if self.gain is None else f" ({self.gain:.1f}x)")

    @property
    def gain(self) -> float | None:
        """How many times as fast as taking turns uncompiled; None if it does that, or if it was not measured."""
        return self.stack_gain if self.stack_size > 1 or self.execution == Execution.COMPILED else None

    @cached_property
    def spec(self) -> RunSpec:
        """The run's config; parsed on first use, so that long lists stay cheap."""
        return RunSpec.model_validate_json(self.spec_json)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A snapshot of one experiment: a sweep and the runs that came from it."""

    id: str
    project: str
    name: str
    sweep_json: str
    """The sweep, defaults filled in, as canonical JSON."""
    sweep_hash: str
    run_count: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Lease:
    """Proof that a process owns a run. Every write to a run names its lease; an outdated token is refused."""

    run_id: str
    attempt: int
    token: int
    """Fencing token: grows with every claim of any run."""
    worker_id: str
