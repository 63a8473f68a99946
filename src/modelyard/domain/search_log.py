"""What a search was told, in order. Its decisions follow from its config and this log alone."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from modelyard.domain.base import Config


class Ending(StrEnum):
    """How a trial's turn ended."""

    REACHED = "reached"
    """It trained as far as it was to, and can go on."""
    COMPLETED = "completed"
    """It is at its end, by its number of epochs or by early stopping."""
    FAILED = "failed"
    STOPPED = "stopped"
    """Somebody stopped it."""
    DELETED = "deleted"


class Evaluation(Config):
    """The validation metrics after an epoch; None for one that is not finite."""

    epoch: int
    metrics: dict[str, float | None]
    scores: str = ""
    """A score of each validation sample where the scheduler asks for it; see ``sample_scores``."""


class Opened(Config):
    """The search began."""

    kind: Literal["opened"] = "opened"


class Trained(Config):
    """A trial did what it was to do, or could not."""

    kind: Literal["trained"] = "trained"
    trial: int
    ending: Ending
    evaluations: tuple[Evaluation, ...]
    """Those since its last turn, oldest first."""
    message: str = ""
    """Why it ended, if it did not reach its epoch."""


class Taken(Config):
    """Somebody resumed, stopped or deleted a trial that waited for the search; it is not the search's any more."""

    kind: Literal["taken"] = "taken"
    trial: int
    message: str


class Closed(Config):
    """The search has to end: its budget is used up, somebody stopped the experiment, or its metric is missing."""

    kind: Literal["closed"] = "closed"
    message: str
    evaluations: dict[int, tuple[Evaluation, ...]] = {}
    """By trial in training: what it has validated since its last turn, oldest first."""
    failed: bool = False
    """Whether it ends because it cannot decide anything: what it goes by is not reported."""


class Settled(Config):
    """The search is over, and all that it decided was done: from now on it leaves its runs alone."""

    kind: Literal["settled"] = "settled"


Entry = Annotated[Opened | Trained | Taken | Closed | Settled, Field(discriminator="kind")]

ENTRY_ADAPTER: TypeAdapter[Entry] = TypeAdapter(Entry)


class DecisionKind(StrEnum):
    """What a search decides about a trial."""

    START = "start"
    FORK = "fork"
    """A new trial goes on from where another one is, with other values."""
    PROMOTE = "promote"
    STOP = "stop"
    END = "end"
    """The search itself is over; the trial is the best one."""


class Decision(Config):
    """One decision of a search, for people and for the record."""

    kind: DecisionKind
    trial: int | None
    """None if no trial was ever compared."""
    epoch: int
    """Where the trial is."""
    until: int
    """The epoch it trains to from there; where it is, if it does not."""
    reason: str
