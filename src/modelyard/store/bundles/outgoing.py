"""What of an experiment goes into a bundle: its records as of one moment, read piece by piece."""

import base64
import json
import math
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, false, or_, select, true

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.events import PAYLOAD_ADAPTER
from modelyard.domain.search_log import ENTRY_ADAPTER
from modelyard.store import code_refs, sequences
from modelyard.store.bundles.records import (
    ArtifactRecord,
    AttemptRecord,
    CheckpointRecord,
    EvaluationRecord,
    EventRecord,
    ExperimentRecord,
    LogRecord,
    Record,
    RequestRecord,
    RunRecord,
    SearchRecord,
    SeriesRecord,
)
from modelyard.store.checkpoints import load_files
from modelyard.store.controls import op_records
from modelyard.store.metrics import moving
from modelyard.store.schema import (
    artifacts,
    attempts,
    blob_refs,
    checkpoints,
    control_ops,
    evaluations,
    events,
    experiments,
    log_lines,
    runs,
    search_log,
)

R = TypeVar("R", bound=Record)

ROWS = 5_000
"""Rows that are read together."""


class Kept(StrEnum):
    """Which checkpoints go along. What a run is to start from does too, unless it is ``none``."""

    ALL = "all"
    LAST = "last"
    BEST = "best"
    NONE = "none"


class Outgoing:
    """Reads an experiment, or one run of it, inside the snapshot of ``connection``."""

    def __init__(self, connection: Connection, experiment_id: str, run_id: str | None, kept: Kept) -> None:
        self._connection = connection
        self._experiment = experiments.c.id == experiment_id
        of_it = runs.c.experiment_key == select(experiments.c.key).where(self._experiment).scalar_subquery()
        self._mine: ColumnElement[bool] = of_it if run_id is None else of_it & (runs.c.id == run_id)
        tagged = {
            Kept.ALL: true(),
            Kept.LAST: checkpoints.c.last | checkpoints.c.borrowed,
            Kept.BEST: checkpoints.c.best | checkpoints.c.borrowed,
            Kept.NONE: false(),
        }
        self._kept = tagged[kept] & ~checkpoints.c.corrupt

    def tables(self) -> dict[str, Iterable[Record]]:
        """Return the records of each table, to be read one table after the other."""
        return {
            "experiment": self._experiments(),
            "runs": self._runs(),
            "attempts": self._rows_as(AttemptRecord, attempts, attempts.c.number),
            "requests": self._requests(),
            "checkpoints": self._checkpoints(),
            "artifacts": self._rows_as(ArtifactRecord, artifacts, artifacts.c.key),
            "evaluations": self._evaluations(),
            "series": self._series(),
            "logs": self._rows_as(LogRecord, log_lines, log_lines.c.number),
            "search": self._search(),
            "events": self._events(),
        }

    def points(self) -> Iterator[bytes]:
        """Yield the points of all series, in the order in which ``series`` names them."""
        for key, _ in self._keys():
            yield from moving.read_bytes(self._connection, key)

    def blobs(self) -> list[BlobRef]:
        """Return every blob that the records name, each once."""
        found: dict[str, BlobRef] = {}
        for checkpoint in self._checkpoints():
            found |= {digest: BlobRef(digest=digest, size=size) for digest, size in checkpoint.files.values()}
        code = blob_refs.c.owner_kind == code_refs.OWNER_KIND
        for table, condition in ((artifacts, true()), (blob_refs, code)):
            for row in self._rows(table, condition=condition):
                found[row["digest"]] = BlobRef(digest=row["digest"], size=row["size"])
        return list(found.values())

    def _keys(self) -> list[tuple[int, str]]:
        query = select(runs.c.key, runs.c.id).where(self._mine).order_by(runs.c.key)
        return [(row.key, row.id) for row in self._connection.execute(query)]

    def _rows(
        self, table: Table, *order: ColumnElement[Any], condition: ColumnElement[bool] | None = None
    ) -> Iterator[RowMapping]:
        """Yield rows of the runs, in the order in which the runs were made."""
        query = select(table, runs.c.id.label("run")).join_from(table, runs, table.c.run_key == runs.c.key)
        query = query.where(self._mine, true() if condition is None else condition)
        query = query.order_by(table.c.run_key, *order).execution_options(yield_per=ROWS)
        yield from self._connection.execute(query).mappings()

    def _rows_as(self, kind: type[Record], table: Table, *order: ColumnElement[Any]) -> Iterator[Record]:
        for row in self._rows(table, *order):
            yield _build(kind, row)

    def _experiments(self) -> Iterator[ExperimentRecord]:
        row = self._connection.execute(select(experiments).where(self._experiment)).mappings().one()
        yield _build(ExperimentRecord, row, last_request=sequences.last_request(self._connection))

    def _runs(self) -> Iterator[RunRecord]:
        query = select(runs).where(self._mine).order_by(runs.c.key).execution_options(yield_per=ROWS)
        for row in self._connection.execute(query).mappings():
            fingerprints = json.loads(row["fingerprints"])
            yield _build(RunRecord, row, shares_past=row["past"] != "", fingerprints=fingerprints)

    def _requests(self) -> Iterator[RequestRecord]:
        mine = control_ops.c.run_key.in_(select(runs.c.key).where(self._mine))
        for record in op_records(self._connection, mine):
            fields = {name: getattr(record, name) for name in RequestRecord.model_fields if hasattr(record, name)}
            yield RequestRecord(**fields | {"run": record.run_id, "number": record.sequence})

    def _checkpoints(self) -> Iterator[CheckpointRecord]:
        for row in self._rows(checkpoints, checkpoints.c.key, condition=self._kept):
            files = {name: (blob.digest, blob.size) for name, blob in load_files(row["files"]).items()}
            metrics = {name: value for name, value in json.loads(row["metrics"]).items() if math.isfinite(value)}
            yield _build(CheckpointRecord, row, saved_by=row["run_id"], files=files, metrics=metrics)

    def _evaluations(self) -> Iterator[EvaluationRecord]:
        for row in self._rows(evaluations, evaluations.c.epoch):
            scores = base64.b64encode(row["scores"]).decode()
            yield _build(EvaluationRecord, row, metrics=json.loads(row["metrics"]), scores=scores)

    def _series(self) -> Iterator[SeriesRecord]:
        for key, run_id in self._keys():
            for name, points in moving.sizes(self._connection, key).items():
                yield SeriesRecord(run=run_id, name=name, points=points)

    def _search(self) -> Iterator[SearchRecord]:
        query = select(search_log.c.number, search_log.c.entry).join_from(search_log, experiments)
        query = query.where(self._experiment).order_by(search_log.c.number).execution_options(yield_per=ROWS)
        for row in self._connection.execute(query):
            yield SearchRecord(number=row.number, entry=ENTRY_ADAPTER.validate_json(row.entry))

    def _events(self) -> Iterator[EventRecord]:
        """Yield what happened to the runs and to the experiment itself; runs that were deleted are left out."""
        experiment_id = select(experiments.c.id).where(self._experiment).scalar_subquery()
        about = or_(events.c.run_id.is_(None), events.c.run_id.in_(select(runs.c.id).where(self._mine)))
        query = select(events).where(events.c.experiment_id == experiment_id, about).order_by(events.c.seq)
        for row in self._connection.execute(query.execution_options(yield_per=ROWS)):
            payload = PAYLOAD_ADAPTER.validate_json(row.payload)
            yield EventRecord(time=row.time, actor=row.actor, run=row.run_id, payload=payload)


def _build(kind: type[R], row: RowMapping, **others: Any) -> R:
    """Make a record of a row's columns of the same names, and of ``others``; enums come as text, and are none yet."""
    known = {name: row[name] for name in kind.model_fields if name not in others and name in row}
    return kind.model_validate(known | others, strict=False)
