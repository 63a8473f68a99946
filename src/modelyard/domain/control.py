"""What a user can ask of a run that exists. Requests are stored, picked up within one step, and acknowledged."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modelyard.domain.base import Config


class OpStatus(StrEnum):
    """What became of a control operation."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"


class Pause(Config):
    """Save a checkpoint at the next step boundary and give the device back."""

    kind: Literal["pause"] = "pause"
    reason: str | None = None
    """Why, if the agent asks for it for lack of memory and not a person."""


class Resume(Config):
    """Queue a paused, stopped or failed run again; it goes on from its newest checkpoint."""

    kind: Literal["resume"] = "resume"


class Stop(Config):
    """Save a checkpoint at the next step boundary and end the run."""

    kind: Literal["stop"] = "stop"
    reason: str | None = None
    """Why, if a search asks for it and not a person."""


class Tune(Config):
    """Change hyperparameters of a run while it trains; replayed at the same step after a resume."""

    kind: Literal["tune"] = "tune"
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """New base learning rate; the schedule goes on multiplying it."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """New weight decay, for the parameters that have any."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """New total number of epochs; the schedule stretches to it."""

    @model_validator(mode="after")
    def _something_changes(self) -> "Tune":
        if self.learning_rate is None and self.weight_decay is None and self.epochs is None:
            raise ValueError("tune needs at least one of learning_rate, weight_decay, epochs")
        return self


class Save(Config):
    """Save a checkpoint at the next step boundary and go on; a clone with a warm start asks for it."""

    kind: Literal["save"] = "save"


class SetPriority(Config):
    """Runs with a higher priority are claimed, and take their turns, before all others."""

    kind: Literal["priority"] = "priority"
    priority: Annotated[int, Field(ge=-100, le=100)]


ControlOp = Annotated[Pause | Resume | Stop | Tune | Save | SetPriority, Field(discriminator="kind")]


def changes_of(op: ControlOp) -> dict[str, Any]:
    """Return the fields that a request gives, without what kind it is."""
    return op.model_dump(exclude={"kind"}, exclude_none=True)


def worded(op: ControlOp) -> str:
    """Return ``tune learning_rate=0.1``."""
    return " ".join([op.kind, *(f"{name}={value}" for name, value in changes_of(op).items())])


class ControlRecord(Config):
    """A stored control operation, as it was when it was read."""

    id: int
    run_id: str
    op: ControlOp
    status: OpStatus
    actor: str
    requested_at: datetime
    acknowledged_at: datetime | None = None
    applied_step: int | None = None
    """Optimizer steps done when the operation took effect."""
    message: str = ""
    number: int | None = None
    """What checkpoints call it where that is not its id: its number in the home that it was imported from."""

    @property
    def sequence(self) -> int:
        """Its place among all that was ever asked of its run, and of the run that this one was forked from."""
        return self.id if self.number is None else self.number
