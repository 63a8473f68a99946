"""The closed union of everything that happens. State changes and events are written in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from modelyard.domain.access import Permission, Role
from modelyard.domain.base import Config
from modelyard.domain.control import ControlOp
from modelyard.domain.run import Reason, RunState
from modelyard.domain.search_log import Decision


class ExperimentCreated(Config):
    """A sweep was accepted and its runs were queued."""

    type: Literal["experiment.created"] = "experiment.created"
    name: str
    run_count: int


class ExperimentDeleted(Config):
    """An experiment and all of its runs were deleted."""

    type: Literal["experiment.deleted"] = "experiment.deleted"
    name: str


class RunCreated(Config):
    """A run was added, by a sweep or as a clone."""

    type: Literal["run.created"] = "run.created"
    name: str
    spec_hash: str
    parent_id: str | None = None


class RunStateChanged(Config):
    """A run went from one state to another."""

    type: Literal["run.state_changed"] = "run.state_changed"
    before: RunState
    after: RunState
    reason: Reason
    attempt: int
    step: int


class AttemptStarted(Config):
    """An engine process loaded a run and goes on from ``start_step``."""

    type: Literal["run.attempt_started"] = "run.attempt_started"
    attempt: int
    start_step: int
    checkpoint_id: str | None
    execution: str
    device: str
    reason: str
    """Why this execution was chosen."""


class ExecutionChanged(Config):
    """A run began to train in another way."""

    type: Literal["run.execution_changed"] = "run.execution_changed"
    execution: str
    stack_size: int
    stack_gain: float | None
    """How many times as fast as taking turns uncompiled, if that was measured."""
    reason: str


class PastShared(Config):
    """A run goes on from what another one trained and measured: the first ``steps`` of both are the same."""

    type: Literal["run.past_shared"] = "run.past_shared"
    run_id: str
    """The other one."""
    name: str
    steps: int


class SearchDecided(Config):
    """A search decided about one of its trials."""

    type: Literal["search.decided"] = "search.decided"
    decision: Decision


class ExperimentImported(Config):
    """Runs of an experiment came from another home."""

    type: Literal["experiment.imported"] = "experiment.imported"
    name: str
    original_name: str
    """What it was called there."""
    run_count: int
    """How many runs came."""
    bundle: str
    """SHA-256 of the bundle's manifest."""


class RunImported(Config):
    """A run came from another home; what happened there comes before this."""

    type: Literal["run.imported"] = "run.imported"
    name: str
    original_name: str
    before: RunState
    """What it was there."""
    after: RunState


class RunDeleted(Config):
    """A run and everything it owned were deleted."""

    type: Literal["run.deleted"] = "run.deleted"
    name: str
    freed_checkpoints: int


class ControlRequested(Config):
    """Somebody asked something of a run."""

    type: Literal["control.requested"] = "control.requested"
    op_id: int
    op: ControlOp


class ControlAcknowledged(Config):
    """A control operation took effect at ``applied_step``."""

    type: Literal["control.acknowledged"] = "control.acknowledged"
    op_id: int
    op: ControlOp
    applied_step: int


class ControlRejected(Config):
    """A control operation could not take effect."""

    type: Literal["control.rejected"] = "control.rejected"
    op_id: int
    op: ControlOp
    message: str


class CheckpointSaved(Config):
    """A checkpoint is on disk and recorded."""

    type: Literal["checkpoint.saved"] = "checkpoint.saved"
    checkpoint_id: str
    step: int
    epoch: int
    size: int
    best: bool


class CheckpointCorrupt(Config):
    """A checkpoint's bytes do not match their digest; the one before it is used."""

    type: Literal["checkpoint.corrupt"] = "checkpoint.corrupt"
    checkpoint_id: str
    digest: str
    message: str


class GarbageCollected(Config):
    """Unreferenced blobs were deleted."""

    type: Literal["storage.collected"] = "storage.collected"
    blobs: int
    freed_bytes: int


class UserCreated(Config):
    """Somebody may use the server from now on."""

    type: Literal["user.created"] = "user.created"
    name: str
    role: Role


class UserChanged(Config):
    """A user got another role, another password, or both; it had to log in anew."""

    type: Literal["user.changed"] = "user.changed"
    name: str
    role: Role
    password: bool
    """Whether the password was changed."""


class UserDeleted(Config):
    """A user was deleted, with all tokens."""

    type: Literal["user.deleted"] = "user.deleted"
    name: str


class LoggedIn(Config):
    """A user gave the right password."""

    type: Literal["user.logged_in"] = "user.logged_in"
    name: str


class TokenCreated(Config):
    """A user made a token."""

    type: Literal["token.created"] = "token.created"
    user: str
    name: str
    scopes: list[Permission]
    expires_at: datetime | None


class TokenRevoked(Config):
    """A token was deleted."""

    type: Literal["token.revoked"] = "token.revoked"
    user: str
    name: str


class SecretChanged(Config):
    """A secret was set; nobody can read it back."""

    type: Literal["secret.changed"] = "secret.changed"
    name: str


class SecretDeleted(Config):
    """A secret was deleted."""

    type: Literal["secret.deleted"] = "secret.deleted"
    name: str


class ViewSaved(Config):
    """A view of a project's boards was kept under a name."""

    type: Literal["view.saved"] = "view.saved"
    project: str
    name: str


class ViewDeleted(Config):
    """A view of a project's boards was deleted."""

    type: Literal["view.deleted"] = "view.deleted"
    project: str
    name: str


EventPayload = Annotated[
    ExperimentCreated
    | ExperimentDeleted
    | RunCreated
    | RunStateChanged
    | AttemptStarted
    | ExecutionChanged
    | PastShared
    | SearchDecided
    | ExperimentImported
    | RunImported
    | RunDeleted
    | ControlRequested
    | ControlAcknowledged
    | ControlRejected
    | CheckpointSaved
    | CheckpointCorrupt
    | GarbageCollected
    | UserCreated
    | UserChanged
    | UserDeleted
    | LoggedIn
    | TokenCreated
    | TokenRevoked
    | SecretChanged
    | SecretDeleted
    | ViewSaved
    | ViewDeleted,
    Field(discriminator="type"),
]

EVENT_TYPES: tuple[str, ...] = tuple(
    payload.model_fields["type"].default for payload in get_args(get_args(EventPayload)[0])
)
"""The ``type`` of each of them."""

PAYLOAD_ADAPTER: TypeAdapter[EventPayload] = TypeAdapter(EventPayload)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One entry of the feed. ``seq`` grows without ever skipping a committed event that a reader has yet to see."""

    seq: int
    time: datetime
    actor: str
    experiment_id: str | None
    run_id: str | None
    payload: EventPayload
