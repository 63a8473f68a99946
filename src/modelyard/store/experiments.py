"""Experiments: a sweep and the runs that came from it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import NotFoundError, UserError
from modelyard.domain.events import ExperimentCreated, ExperimentDeleted, RunCreated
from modelyard.domain.past import past_key
from modelyard.domain.run import Experiment, Reason, ReasonCode, RunState
from modelyard.domain.structure import structure_hash
from modelyard.store import clock, code_refs, eventfeed
from modelyard.store.database import Database
from modelyard.store.deletion import delete_runs
from modelyard.store.doorbell import Doorbell
from modelyard.store.gc import GarbageCollector, GcReport
from modelyard.store.home import Home
from modelyard.store.references import MIN_PREFIX, did_you_mean, new_id
from modelyard.store.run_rows import current_where
from modelyard.store.schema import experiments, runs


class Experiments:
    """Creates, finds and deletes experiments."""

    def __init__(self, home: Home, database: Database, doorbell: Doorbell) -> None:
        self._home = home
        self._database = database
        self._doorbell = doorbell

    def create(
        self,
        sweep: SweepSpec,
        specs: Sequence[RunSpec],
        *,
        until_epochs: Sequence[int | None] | None = None,
        scored: bool = False,
        actor: str,
    ) -> Experiment:
        """Queue all runs of a sweep in one transaction. A name that is taken gets ``.2``, ``.3`` and so on.

        With ``until_epochs`` they are the first trials of the sweep's search, and each pauses there; if they are
        ``scored``, they keep the score of each validation sample.
        """
        if not specs:
            raise UserError(f"experiment {sweep.name} has no runs; check its search")
        sweep_json, sweep_hash = snapshot(sweep)
        experiment_id = new_id()
        with self._database.write() as connection:
            name = free_name(connection, sweep.project, sweep.name)
            row = {
                "id": experiment_id,
                "project": sweep.project,
                "name": name,
                "sweep": sweep_json,
                "sweep_hash": sweep_hash,
                "last_number": len(specs),
                "last_trial": 0 if until_epochs is None else len(specs),
                "created_at": clock.now(),
            }
            key = connection.execute(insert(experiments).values(row).returning(experiments.c.key)).scalar_one()
            payload = ExperimentCreated(name=name, run_count=len(specs))
            eventfeed.append(connection, payload, actor=actor, experiment_id=experiment_id)
            reason = Reason(code=ReasonCode.CREATED, message=f"created by {actor} with experiment {name}")
            rows = [
                new_run(spec, experiment_key=key, project=sweep.project, name=f"{name}-{number}", reason=reason)
                for number, spec in enumerate(specs, start=1)
            ]
            for number, until_epoch in enumerate(until_epochs or ()):
                rows[number] |= {"trial": number + 1, "until_epoch": until_epoch, "scored": scored, "past": ""}
            connection.execute(insert(runs), rows)
            code_refs.record(connection, self._home, specs, rows)
            eventfeed.append_all(connection, [created_event(row, experiment_id) for row in rows], actor=actor)
            created = _fetch(connection, experiments.c.key == key)[0]
        self._doorbell.ring()
        return created

    def get(self, ref: str) -> Experiment:
        """Return the experiment that ``ref`` names: an id, a name (the newest with it), or a unique prefix of an id."""
        with self._database.read() as connection:
            found = find_experiment(connection, ref)
            if found is None:
                names = connection.execute(select(experiments.c.name)).scalars().all()
                raise NotFoundError(f"no experiment {ref!r}{did_you_mean(ref, names)}")
            return found

    def list(self, *, project: str | None = None) -> list[Experiment]:
        """Return all experiments, of one project if given, newest first. One query."""
        with self._database.read() as connection:
            conditions = [] if project is None else [experiments.c.project == project]
            return _fetch(connection, *conditions)

    def delete(self, experiment_id: str, *, actor: str) -> GcReport:
        """Delete an experiment with all of its runs, and return what that freed.

        Files that others need too stay. Raises ``ConflictError`` if any of the runs is active.
        """
        with self._database.write() as connection:
            row = connection.execute(select(experiments).where(experiments.c.id == experiment_id)).one_or_none()
            if row is None:
                raise NotFoundError(f"no experiment has the id {experiment_id!r}")
            doomed = current_where(connection, runs.c.experiment_key == row.key)
            needed = delete_runs(connection, doomed, self._home, actor=actor)
            connection.execute(delete(experiments).where(experiments.c.key == row.key))
            payload = ExperimentDeleted(name=row.name)
            eventfeed.append(connection, payload, actor=actor, experiment_id=experiment_id)
        return GarbageCollector(self._home, self._database).collect_only(needed, actor=actor)


def find_experiment(connection: Connection, ref: str) -> Experiment | None:
    """Return the experiment with this id, name (the newest with it) or unique prefix of an id, if there is one."""
    found = _fetch(connection, experiments.c.id == ref) or _fetch(connection, experiments.c.name == ref)[:1]
    if not found and len(ref) >= MIN_PREFIX:
        found = _fetch(connection, experiments.c.id.startswith(ref, autoescape=True))
    if len(found) > 1:
        raise UserError(f"{ref!r} is the beginning of more than one experiment's id; type more of it")
    return found[0] if found else None


def snapshot(config: BaseModel) -> tuple[str, str]:
    """Return a config's canonical JSON and its content hash."""
    text = canonical_json(config.model_dump(mode="json"))
    return text, hashlib.sha256(text.encode()).hexdigest()


def new_run(
    spec: RunSpec, *, experiment_key: int, project: str, name: str, reason: Reason, **values: Any
) -> dict[str, Any]:
    """Return the row of a run that is queued for the first time; ``values`` override columns."""
    spec_json, spec_hash = snapshot(spec)
    now: datetime = clock.now()
    row = {
        "id": new_id(),
        "experiment_key": experiment_key,
        "project": project,
        "name": name,
        "state": RunState.QUEUED,
        "reason_code": reason.code,
        "reason_message": reason.message,
        "priority": 0,
        "crashes": 0,
        "attempt": 0,
        "step": 0,
        "epoch": 0,
        "parent_id": None,
        "warm_start": None,
        "inherit_optimizer": False,
        "forked": False,
        "trial": None,
        "until_epoch": None,
        "scored": False,
        "created_at": now,
        "updated_at": now,
        "fingerprints": "{}",
        "summary": "{}",
        "spec": spec_json,
        "spec_hash": spec_hash,
        "structure": structure_hash(spec),
        "past": past_key(spec),
    }
    if values.get("trial") is not None or values.get("warm_start") is not None:
        row["past"] = ""  # a search decides about its runs one by one; a warm start begins elsewhere
    return row | values


def created_event(run: dict[str, Any], experiment_id: str) -> eventfeed.Entry:
    """Return the event that tells of a new run's row."""
    payload = RunCreated(name=run["name"], spec_hash=run["spec_hash"], parent_id=run["parent_id"])
    return eventfeed.Entry(payload, run_id=run["id"], experiment_id=experiment_id)


def free_name(connection: Connection, project: str, name: str) -> str:
    """Return ``name``, or with ``.2``, ``.3`` and so on if that is taken in the project."""
    query = select(experiments.c.name).where(experiments.c.project == project)
    taken = set(connection.execute(query).scalars())
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}.{number}"  # not a dash: digits-2 is the second run of digits
    return free


def _fetch(connection: Connection, *conditions: ColumnElement[bool]) -> list[Experiment]:
    """Return all experiments that fulfil ``conditions``, newest first."""
    count = select(func.count()).where(runs.c.experiment_key == experiments.c.key).scalar_subquery()
    query = select(experiments, count.label("run_count")).where(*conditions).order_by(experiments.c.key.desc())
    return [_to_experiment(row) for row in connection.execute(query)]


def _to_experiment(row: Row[Any]) -> Experiment:
    return Experiment(
        id=row.id,
        project=row.project,
        name=row.name,
        sweep_json=row.sweep,
        sweep_hash=row.sweep_hash,
        run_count=row.run_count,
        created_at=row.created_at,
    )
