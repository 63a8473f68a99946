"""Writes what a bundle holds into the tables, inside the one transaction that is open."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.config import RunSpec
from modelyard.domain.events import (
    ControlAcknowledged,
    ControlRejected,
    ControlRequested,
    EventPayload,
    ExperimentImported,
    RunImported,
)
from modelyard.domain.past import past_key
from modelyard.domain.run import FINAL, Reason, ReasonCode, RunState
from modelyard.domain.search_log import Entry
from modelyard.domain.structure import structure_hash
from modelyard.store import blob_refs, code_refs, eventfeed, operations, pins, sequences
from modelyard.store import checkpoints as checkpoint_rows
from modelyard.store.artifacts import OWNER_KIND as ARTIFACT
from modelyard.store.bundles.arrival import Arrival, batches
from modelyard.store.bundles.contents import Contents, Source
from modelyard.store.bundles.outgoing import ROWS
from modelyard.store.bundles.records import (
    ArtifactRecord,
    EvaluationRecord,
    EventRecord,
    LogRecord,
    Record,
    RequestRecord,
    RunRecord,
    SeriesRecord,
)
from modelyard.store.home import Home
from modelyard.store.metrics import moving
from modelyard.store.run_rows import current
from modelyard.store.schema import (
    artifacts,
    attempts,
    control_ops,
    evaluations,
    events,
    experiments,
    log_lines,
    runs,
    search_log,
)


class Incoming:
    """One import. ``write`` does all of it."""

    def __init__(
        self, connection: Connection, home: Home, source: Source, contents: Contents, arrival: Arrival
    ) -> None:
        self._connection = connection
        self._home = home
        self._source = source
        self._contents = contents
        self._arrival = arrival
        self._runs = [run for run in contents.runs.values() if run.id in arrival.names]
        self._keys: dict[str, int] = {}
        """By id: the runs that come."""

    def write(self, entries: Sequence[Entry], *, blobs: Iterable[str], actor: str, bundle: str) -> None:
        """Write everything; ``entries`` are the log of the experiment's search, ``blobs`` what was put for this."""
        experiment_key = self._write_experiment(entries)
        rows = self._write_runs(experiment_key)
        self._write_attempts()
        request_ids = self._write_requests()
        self._write_checkpoints()
        self._write_artifacts()
        self._write_rows(EvaluationRecord, evaluations, _evaluation)
        self._write_rows(LogRecord, log_lines, lambda one: one.model_dump(exclude={"run"}))
        self._write_points()
        specs = [RunSpec.model_validate_json(run.spec) for run in self._runs]
        code_refs.record(self._connection, self._home, specs, rows)
        code = {spec.user_code.code for spec in specs if spec.user_code is not None}
        pins.release(self._connection, set(blobs) - code)  # those of the code are released already
        self._write_events(request_ids)
        self._tell(actor, bundle)

    def _write_experiment(self, entries: Sequence[Entry]) -> int:
        record = self._contents.experiment
        mine = experiments.c.id == record.id
        sequences.go_on_after(self._connection, record.last_request)
        if not self._arrival.with_experiment:
            row = self._connection.execute(select(experiments).where(mine)).one()
            names = ("last_number", "last_trial")
            highest = {name: max(getattr(row, name), getattr(record, name)) for name in names}
            self._connection.execute(update(experiments).where(mine).values(**highest))
            return int(row.key)
        values = record.model_dump(exclude={"last_request"}) | {"name": self._arrival.experiment}
        inserted = insert(experiments).values(values).returning(experiments.c.key)
        key = int(self._connection.execute(inserted).scalar_one())
        log = [
            {"experiment_key": key, "number": number, "entry": entry.model_dump_json()}
            for number, entry in enumerate(entries, start=1)
        ]
        if log:
            self._connection.execute(insert(search_log), log)
        return key

    def _write_runs(self, experiment_key: int) -> list[dict[str, Any]]:
        project = self._connection.execute(
            select(experiments.c.project).where(experiments.c.key == experiment_key)
        ).scalar_one()
        rows = [
            self._run(run) | {"experiment_key": experiment_key, "project": project, "name": self._arrival.names[run.id]}
            for run in self._runs
        ]
        self._connection.execute(insert(runs), rows)
        for ids in batches(self._arrival.names):
            query = select(runs.c.id, runs.c.key).where(runs.c.id.in_(ids))
            self._keys |= {row.id: row.key for row in self._connection.execute(query)}
        return rows

    def _run(self, record: RunRecord) -> dict[str, Any]:
        """Return a run's row. One that was not over waits for a person, at its newest checkpoint."""
        spec = RunSpec.model_validate_json(record.spec)
        row = record.model_dump(exclude={"shares_past"}) | {
            "crashes": 0,
            "summary": "{}",
            "fingerprints": json.dumps(record.fingerprints),
            "structure": structure_hash(spec),
            "past": past_key(spec) if record.shares_past else "",
        }
        if record.state in FINAL:
            return row
        step, epoch = self._contents.position(record.id)
        row |= {"step": step, "epoch": epoch, "until_epoch": None}
        state = state_here(record)
        if state is not record.state or record.reason_code is ReasonCode.RUNG:
            reason = _reason(record, state, step)
            row |= {"state": state, "reason_code": reason.code, "reason_message": reason.message}
            row["ended_at"] = record.updated_at if state in FINAL else None
        return row

    def _write_attempts(self) -> None:
        rows = [
            one.model_dump(exclude={"run"})
            | {"run_key": self._keys[run.id], "ended_at": one.ended_at or run.updated_at}
            for run in self._runs
            for one in self._contents.attempts.get(run.id, ())
        ]
        if rows:
            self._connection.execute(insert(attempts), rows)

    def _write_requests(self) -> dict[int, int]:
        """Write what was asked of the runs; return the ids of that here by those there."""
        ids = {}
        for one in self._source.records(RequestRecord):
            if one.run in self._keys:
                row = one.model_dump(exclude={"run", "id"}) | {
                    "run_key": self._keys[one.run],
                    "op": one.op.model_dump_json(),
                    "kind": one.op.kind,
                }
                inserted = insert(control_ops).values(row).returning(control_ops.c.id)
                ids[one.id] = int(self._connection.execute(inserted).scalar_one())
        return ids

    def _write_checkpoints(self) -> None:
        for run_id, key in self._keys.items():
            for one in self._contents.checkpoints.get(run_id, ()):
                files = {name: BlobRef(digest=digest, size=size) for name, (digest, size) in one.files.items()}
                row = one.model_dump(exclude={"run", "saved_by"}) | {
                    "run_key": key,
                    "run_id": one.saved_by,
                    "files": checkpoint_rows.dump_files(files),
                    "metrics": json.dumps(one.metrics),
                    "corrupt": False,
                }
                checkpoint_rows.insert_row(self._connection, row, files.values())

    def _write_artifacts(self) -> None:
        for one in self._source.records(ArtifactRecord):
            if one.run in self._keys:
                run_key = self._keys[one.run]
                row = one.model_dump(exclude={"run"}) | {"run_key": run_key}
                key = self._connection.execute(insert(artifacts).values(row).returning(artifacts.c.key)).scalar_one()
                blob = BlobRef(digest=one.digest, size=one.size)
                blob_refs.add(self._connection, ARTIFACT, key, [blob], run_key=run_key)

    def _write_rows(self, kind: type[Record], table: Table, columns: Callable[[Any], dict[str, Any]]) -> None:
        found: Iterable[Any] = self._source.records(kind)
        mine = (one for one in found if one.run in self._keys)
        for some in batches(mine, ROWS):
            rows = [columns(one) | {"run_key": self._keys[one.run]} for one in some]
            self._connection.execute(insert(table), rows)

    def _write_points(self) -> None:
        reader = moving.PointReader(self._source.points())
        sizes: dict[str, dict[str, int]] = {}
        for one in self._source.records(SeriesRecord):
            sizes.setdefault(one.run, {})[one.name] = one.points
        for run_id, points in sizes.items():
            if run_id in self._keys:
                moving.restore(self._connection, self._keys[run_id], points, reader)
            else:
                reader.skip(sum(points.values()))

    def _write_events(self, request_ids: dict[int, int]) -> None:
        mine = (one for one in self._source.records(EventRecord) if self._is_new(one))
        for some in batches(mine, ROWS):
            rows = [
                {
                    "time": one.time,
                    "actor": one.actor,
                    "experiment_id": self._arrival.experiment_id,
                    "run_id": one.run,
                    "type": one.payload.type,
                    "payload": _as_here(one.payload, request_ids).model_dump_json(),
                }
                for one in some
            ]
            self._connection.execute(insert(events), rows)

    def _is_new(self, event: EventRecord) -> bool:
        return self._arrival.with_experiment if event.run is None else event.run in self._keys

    def _tell(self, actor: str, bundle: str) -> None:
        """Write who imported what, after all that happened before; what can no longer be done is answered."""
        arrival = self._arrival
        came = ExperimentImported(
            name=arrival.experiment, original_name=arrival.original_name, run_count=len(self._runs), bundle=bundle
        )
        told = [eventfeed.Entry(came, None, arrival.experiment_id)]
        for run in self._runs:
            names = {"name": arrival.names[run.id], "original_name": run.name}
            payload = RunImported(**names, before=run.state, after=state_here(run))
            told.append(eventfeed.Entry(payload, run.id, arrival.experiment_id))
        eventfeed.append_all(self._connection, told, actor=actor)
        for run in self._runs:
            if state_here(run) is not run.state:
                operations.settle(self._connection, current(self._connection, run.id), actor=actor)


def state_here(record: RunRecord) -> RunState:
    """Return the state that a run arrives in: nothing trains by itself that came from elsewhere."""
    if record.state is RunState.STOPPING:
        return RunState.STOPPED
    return record.state if record.state in FINAL else RunState.PAUSED


def _reason(record: RunRecord, state: RunState, step: int) -> Reason:
    was = "waiting for its search" if record.reason_code is ReasonCode.RUNG else record.state.value
    message = f"it was {was} in the home that it was exported from"
    if state is RunState.PAUSED:
        message += f"; resume it to go on from step {step}" if step else "; resume it to train it here"
    return Reason(code=ReasonCode.IMPORTED, message=message)


def _evaluation(one: EvaluationRecord) -> dict[str, Any]:
    return {
        "epoch": one.epoch,
        "step": one.step,
        "metrics": json.dumps(one.metrics),
        "scores": base64.b64decode(one.scores),
    }


def _as_here(payload: EventPayload, request_ids: dict[int, int]) -> EventPayload:
    """Return a payload with the request's id in this home."""
    if isinstance(payload, ControlRequested | ControlAcknowledged | ControlRejected):
        return payload.model_copy(update={"op_id": request_ids.get(payload.op_id, payload.op_id)})
    return payload
