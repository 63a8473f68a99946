"""What a bundle says, record by record: the rows of an experiment without the keys of one home, checked field by field.

Nothing here is trusted to be ours: ids and names have their exact form, numbers are finite and within what the tables
hold, texts are what every database takes, and configs are valid. What depends on other records is checked elsewhere.
"""

import base64
import binascii
import hashlib
import zlib
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import ControlOp, OpStatus
from modelyard.domain.events import EventPayload
from modelyard.domain.run import ReasonCode, RunState
from modelyard.domain.search_log import Closed, Entry, Trained

MOST_SCORES = 1 << 24
"""Validation samples that have a score each, at most; more would be a small text that unpacks to fill the memory."""

LAST_REQUEST = 10**12
"""The highest number of a request; a home that imports one goes on from there."""


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character is in it, which no database takes")
    return text


def _scores(text: str) -> str:
    try:
        packed = base64.b64decode(text, validate=True)
        if packed:
            unpacking = zlib.decompressobj()
            unpacking.decompress(packed, MOST_SCORES)
            if not unpacking.eof or unpacking.unused_data:
                raise ValueError("the scores are cut off, or too many")
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"these are no packed scores ({error})") from error
    return text


Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
WorkerId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Line = Annotated[str, AfterValidator(_storable)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_storable)]
"""A name that people gave: of a metric, an artifact, a person."""
Scores = Annotated[str, AfterValidator(_scores)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
Moment = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))]


class Record(BaseModel):
    """Base of all: an unknown field, a value of another type or a number that is not finite is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ExperimentRecord(Record):
    """An experiment."""

    id: Id
    project: Name
    name: Name
    sweep: Line
    """The sweep as canonical JSON, as its hash counts it."""
    sweep_hash: Hash
    last_number: Number
    last_trial: Number
    last_request: Annotated[int, Field(ge=0, le=LAST_REQUEST)]
    """The highest number that a request ever had in the home; checkpoints name numbers up to this."""
    created_at: Moment

    @model_validator(mode="after")
    def _is_a_sweep(self) -> Self:
        _check_hash(self.sweep, self.sweep_hash)
        SweepSpec.model_validate_json(self.sweep)
        return self


class RunRecord(Record):
    """A run. What follows from its config or its points is worked out anew."""

    id: Id
    name: Name
    state: RunState
    reason_code: ReasonCode
    reason_message: Line
    priority: Annotated[int, Field(ge=-100, le=100)]
    attempt: Number
    step: Count
    total_steps: Count | None
    epoch: Number
    total_epochs: Number | None
    parent_id: Id | None
    warm_start: Id | None
    inherit_optimizer: bool
    forked: bool
    trial: Number | None
    until_epoch: Number | None
    scored: bool
    shared_steps: Count
    shared_with: Line
    shares_past: bool
    """Whether it may begin with the same steps as others."""
    execution: Annotated[str, StringConstraints(pattern=r"^[a-z]{0,20}$")]
    stack_size: Number
    stack_gain: float | None
    fingerprints: dict[Label, Line]
    created_at: Moment
    updated_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    spec: Line
    """The config as canonical JSON, as its hash counts it."""
    spec_hash: Hash

    @model_validator(mode="after")
    def _is_a_run(self) -> Self:
        _check_hash(self.spec, self.spec_hash)
        RunSpec.model_validate_json(self.spec)
        return self


class AttemptRecord(Record):
    """An attempt to train a run."""

    run: Id
    number: Annotated[Number, Field(ge=1)]
    start_step: Count | None
    worker_id: WorkerId
    claimed_at: Moment
    begun_at: Moment | None
    ended_at: Moment | None


class RequestRecord(Record):
    """Something that was asked of a run."""

    run: Id
    id: Annotated[int, Field(ge=1, le=LAST_REQUEST)]
    """What events call it."""
    number: Annotated[int, Field(ge=1, le=LAST_REQUEST)]
    """What checkpoints call it."""
    op: ControlOp
    status: OpStatus
    actor: Label
    requested_at: Moment
    acknowledged_at: Moment | None
    applied_step: Count | None
    message: Line


class CheckpointRecord(Record):
    """A checkpoint that a run saved, or that it is to start from."""

    run: Id
    id: Id
    saved_by: Id
    borrowed: bool
    attempt: Number
    step: Count
    epoch: Number
    files: Annotated[dict[FileName, tuple[Digest, Count]], Field(min_length=1)]
    metrics: dict[Label, float]
    last: bool
    best: bool
    resumable: bool
    created_at: Moment


class ArtifactRecord(Record):
    """A named file of a run."""

    run: Id
    name: Label
    digest: Digest
    size: Count
    step: Count
    created_at: Moment


class EvaluationRecord(Record):
    """What a validation measured."""

    run: Id
    epoch: Number
    step: Count
    metrics: dict[Label, float | None]
    scores: Scores
    """Those of the samples, packed, in base64."""


class SeriesRecord(Record):
    """How many points of a metric come next in ``points``, in order of arrival."""

    run: Id
    name: Label
    points: Count


class LogRecord(Record):
    """A line of a run's log."""

    run: Id
    number: Annotated[Count, Field(ge=1)]
    attempt: Number
    time: Moment
    text: Line


class SearchRecord(Record):
    """An entry of the log of a search."""

    number: Annotated[Number, Field(ge=1)]
    entry: Entry

    @model_validator(mode="after")
    def _scores_are_scores(self) -> Self:
        told = [self.entry.evaluations] if isinstance(self.entry, Trained) else []
        told += self.entry.evaluations.values() if isinstance(self.entry, Closed) else []
        for evaluation in chain.from_iterable(told):
            _scores(evaluation.scores)
        return self


class EventRecord(Record):
    """Something that happened."""

    time: Moment
    actor: Label
    run: Id | None
    payload: EventPayload


TABLES: dict[str, type[Record]] = {
    "experiment": ExperimentRecord,
    "runs": RunRecord,
    "attempts": AttemptRecord,
    "requests": RequestRecord,
    "checkpoints": CheckpointRecord,
    "artifacts": ArtifactRecord,
    "evaluations": EvaluationRecord,
    "series": SeriesRecord,
    "logs": LogRecord,
    "search": SearchRecord,
    "events": EventRecord,
}
"""All kinds of records by the name that a bundle has for them."""

POINTS = "points"
"""What a bundle calls the points of all series, one after the other; see ``metrics.columns`` for their bytes."""


def _check_hash(text: str, expected: str) -> None:
    if hashlib.sha256(text.encode()).hexdigest() != expected:
        raise ValueError("the config does not have the hash that goes with it")
