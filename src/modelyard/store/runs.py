"""Runs: read, cloned, asked for things, and deleted."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.config import RunSpec
from modelyard.domain.control import ControlOp, ControlRecord
from modelyard.domain.errors import ConflictError, NotFoundError, UserError
from modelyard.domain.run import Reason, ReasonCode, Run, RunState
from modelyard.store import checkpoints, code_refs, eventfeed, following, requests
from modelyard.store.controls import op_record
from modelyard.store.database import Database
from modelyard.store.deletion import delete_runs
from modelyard.store.doorbell import Doorbell
from modelyard.store.experiments import created_event, find_experiment, new_run
from modelyard.store.gc import GarbageCollector, GcReport
from modelyard.store.home import Home
from modelyard.store.run_rows import current, fetch, find, key_of
from modelyard.store.schema import experiments, runs


class Runs:
    """Reads runs and takes what users ask of them."""

    def __init__(self, home: Home, database: Database, doorbell: Doorbell) -> None:
        self._home = home
        self._database = database
        self._doorbell = doorbell

    def get(self, ref: str) -> Run:
        """Return the run that ``ref`` names: an id, a name (the newest with it), or a unique prefix of an id."""
        with self._database.read() as connection:
            return find(connection, ref)

    def resolve(self, ref: str) -> list[Run]:
        """Return the one run that ``ref`` names, or all runs of the experiment that it names.

        Raises ``NotFoundError``, or ``UserError`` if it is the name of a run and of an experiment.
        """
        with self._database.read() as connection:
            experiment = find_experiment(connection, ref)
            try:
                run = find(connection, ref)
            except NotFoundError:
                if experiment is None:
                    raise
                return fetch(connection, experiments.c.id == experiment.id)
        if experiment is not None:
            raise UserError(f"{ref!r} is a run (id {run.id}) and an experiment (id {experiment.id}); give the id")
        return [run]

    def list(
        self,
        *,
        experiment_id: str | None = None,
        project: str | None = None,
        states: Collection[RunState] | None = None,
        ids: Collection[str] | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Return runs in order of creation; with ``limit``, the newest so many. One query."""
        conditions: list[ColumnElement[bool]] = []
        if ids is not None:
            conditions.append(runs.c.id.in_(ids))
        if experiment_id is not None:
            conditions.append(experiments.c.id == experiment_id)
        if project is not None:
            conditions.append(runs.c.project == project)
        if states is not None:
            conditions.append(runs.c.state.in_(states))
        with self._database.read() as connection:
            return fetch(connection, *conditions, newest=limit)

    def count_states(self) -> dict[str, dict[RunState, int]]:
        """Return, for each experiment that has runs, how many are in which state, in the order of a life. One query."""
        query = (
            select(experiments.c.id, runs.c.state, func.count().label("number"))
            .join_from(runs, experiments)
            .group_by(experiments.c.id, runs.c.state)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found: dict[str, dict[RunState, int]] = {}
        for state in RunState:
            for row in rows:
                if row.state == state:
                    found.setdefault(row.id, {})[state] = row.number
        return found

    def names(self, run_ids: Collection[str]) -> dict[str, str]:
        """Return the names of those of these runs that exist. One query."""
        query = select(runs.c.id, runs.c.name).where(runs.c.id.in_(run_ids))
        with self._database.read() as connection:
            return {row.id: row.name for row in connection.execute(query)}

    def descendants(self, run: Run) -> Sequence[Run]:
        """Return the runs that were cloned from ``run``, and those that took over its first steps. One query."""
        sharing = (runs.c.shared_with == run.name) & (experiments.c.id == run.experiment_id)
        with self._database.read() as connection:
            return fetch(connection, (runs.c.parent_id == run.id) | sharing)

    def priorities(self, run_ids: Collection[str]) -> dict[str, int]:
        """Return the present priority of each of these runs."""
        query = select(runs.c.id, runs.c.priority).where(runs.c.id.in_(run_ids))
        with self._database.read() as connection:
            return {row.id: row.priority for row in connection.execute(query)}

    def may_follow(self, leader: Run) -> Sequence[Run]:
        """Return the queued runs that may go on from what ``leader`` trains. One query."""
        if not leader.past:
            return []
        key = select(experiments.c.key).where(experiments.c.id == leader.experiment_id).scalar_subquery()
        with self._database.read() as connection:
            return fetch(connection, following.may_follow(leader.past, leader.spec_hash, key))

    def clone(
        self,
        parent_id: str,
        spec: RunSpec,
        *,
        warm_start: str | None = None,
        inherit_optimizer: bool = False,
        priority: int | None = None,
        actor: str,
    ) -> Run:
        """Queue a new run in the parent's experiment, with its priority unless one is given.

        ``warm_start`` is the id of a checkpoint whose weights it starts from. The clone holds that checkpoint by
        itself: deleting the parent does not harm it. Raises ``NotFoundError``, ``ConflictError``, ``UserError``.
        """
        with self._database.write() as connection:
            parent = find(connection, parent_id)
            start = _warm_start(connection, warm_start, inherit_optimizer)
            experiment_key, number = _next_number(connection, parent.experiment_id)
            message = f"cloned from {parent.name} by {actor}"
            row = new_run(
                spec,
                experiment_key=experiment_key,
                project=parent.project,
                name=f"{parent.experiment}-{number}",
                reason=Reason(code=ReasonCode.CLONED, message=message),
                priority=parent.priority if priority is None else priority,
                parent_id=parent.id,
                warm_start=None if start is None else start.id,
                inherit_optimizer=inherit_optimizer,
            )
            connection.execute(insert(runs).values(row))
            code_refs.record(connection, self._home, [spec], [row])
            eventfeed.append_all(connection, [created_event(row, parent.experiment_id)], actor=actor)
            if start is not None:
                checkpoints.borrow(connection, key_of(connection, row["id"]), start)
            clone = find(connection, row["id"])
        self._doorbell.ring()
        return clone

    def request(self, run_id: str, op: ControlOp, *, actor: str) -> ControlRecord:
        """Ask something of a run. It is stored, and done at once where no engine is needed for it.

        Raises ``NotFoundError``, or ``ConflictError`` if the run's state does not allow it.
        """
        with self._database.write() as connection:
            op_id = requests.request(connection, current(connection, run_id), op, actor=actor)
            record = op_record(connection, op_id)
        self._doorbell.ring()
        return record

    def delete(self, run_id: str, *, actor: str) -> GcReport:
        """Delete a run with everything that it owns, and return what that freed.

        Files that others need too stay. Raises ``ConflictError`` while it is active.
        """
        with self._database.write() as connection:
            run = current(connection, run_id)
            needed = delete_runs(connection, [run], self._home, actor=actor)
        return GarbageCollector(self._home, self._database).collect_only(needed, actor=actor)


def _warm_start(connection: Connection, ref: str | None, inherit_optimizer: bool) -> Checkpoint | None:
    """Return the checkpoint to start from, checked to be usable."""
    if ref is None:
        if inherit_optimizer:
            raise UserError("the optimizer state can only be inherited together with a warm start")
        return None
    checkpoint = checkpoints.get_checkpoint(connection, ref)
    if checkpoint.corrupt:
        raise ConflictError(f"checkpoint {checkpoint.id} is corrupt; choose another one")
    if inherit_optimizer and not checkpoint.resumable:
        raise UserError(f"checkpoint {checkpoint.id} has weights only, so there is no optimizer state to inherit")
    return checkpoint


def _next_number(connection: Connection, experiment_id: str) -> tuple[int, int]:
    """Take the next run number of an experiment; return the experiment's key and the number."""
    matching = experiments.c.id == experiment_id
    connection.execute(update(experiments).where(matching).values(last_number=experiments.c.last_number + 1))
    row = connection.execute(select(experiments.c.key, experiments.c.last_number).where(matching)).one()
    return row.key, row.last_number
