"""Searches: their log, the trials that they make, and what validations measured."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Stop
from modelyard.domain.errors import NotFoundError
from modelyard.domain.events import SearchDecided
from modelyard.domain.ports import Validation
from modelyard.domain.run import ACTIVE, Reason, ReasonCode, RunState
from modelyard.domain.search_log import ENTRY_ADAPTER, Decision, Entry
from modelyard.store import checkpoints, clock, code_refs, eventfeed, requests
from modelyard.store.database import Database
from modelyard.store.doorbell import Doorbell
from modelyard.store.experiments import created_event, new_run
from modelyard.store.home import Home
from modelyard.store.lifecycle import change_state
from modelyard.store.run_rows import current, find, key_of
from modelyard.store.schema import attempts, evaluations, experiments, runs, search_log

ACTOR = "search"
"""Who decides, in events and requests."""


@dataclass(frozen=True, kw_only=True)
class NewTrial:
    """A run that a search begins."""

    number: int
    spec: RunSpec
    until_epoch: int | None
    message: str
    scored: bool = False
    """Whether it keeps the score of each validation sample."""
    parent_id: str | None = None
    """The run whose training it goes on with."""
    checkpoint_id: str | None = None
    """The checkpoint of that run to go on from."""


@dataclass(frozen=True, kw_only=True)
class Used:
    """What the runs of an experiment used so far, in seconds."""

    seconds: float
    """In which at least one of them trained."""
    device_seconds: float
    """Summed over the engine processes that trained them."""


class Searches:
    """Reads and writes the logs of searches, and does to runs what these decide: once, however often it is asked."""

    def __init__(self, home: Home, database: Database, doorbell: Doorbell) -> None:
        self._home = home
        self._database = database
        self._doorbell = doorbell

    def log(self, experiment_id: str, *, after: int = 0) -> list[Entry]:
        """Return the entries with numbers above ``after``, in order."""
        query = (
            select(search_log.c.entry)
            .join_from(search_log, experiments)
            .where(experiments.c.id == experiment_id, search_log.c.number > after)
            .order_by(search_log.c.number)
        )
        with self._database.read() as connection:
            return [ENTRY_ADAPTER.validate_json(text) for text in connection.execute(query).scalars()]

    def append(self, experiment_id: str, number: int, entry: Entry, decisions: Sequence[Decision]) -> bool:
        """Write entry ``number`` of a log, and what follows from it as events; False if somebody else wrote it first.

        Raises ``NotFoundError`` if the experiment was deleted.
        """
        with self._database.write() as connection:
            key = _experiment_key(connection, experiment_id)
            newest = select(func.max(search_log.c.number)).where(search_log.c.experiment_key == key)
            if (connection.execute(newest).scalar() or 0) != number - 1:
                return False
            row = {"experiment_key": key, "number": number, "entry": entry.model_dump_json()}
            connection.execute(insert(search_log).values(row))
            entries = [
                eventfeed.Entry(SearchDecided(decision=decision), run_id=None, experiment_id=experiment_id)
                for decision in decisions
            ]
            if entries:
                eventfeed.append_all(connection, entries, actor=ACTOR)
        return True

    def evaluations(self, run_id: str) -> dict[int, dict[str, float | None]]:
        """Return a run's validation metrics by epoch, in order; None for one that is not finite.

        Empty for a run that does not exist.
        """
        query = (
            select(evaluations.c.epoch, evaluations.c.metrics)
            .join_from(evaluations, runs)
            .where(runs.c.id == run_id)
            .order_by(evaluations.c.epoch)
        )
        with self._database.read() as connection:
            return {row.epoch: json.loads(row.metrics) for row in connection.execute(query)}

    def scores(self, run_id: str, epoch: int) -> bytes:
        """Return the packed scores of the samples of one validation; empty if none were kept."""
        query = (
            select(evaluations.c.scores)
            .join_from(evaluations, runs)
            .where(runs.c.id == run_id, evaluations.c.epoch == epoch)
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar() or b""

    def last_trial(self, experiment_id: str) -> int:
        """Return the highest number of a trial that was ever made. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            number = connection.execute(
                select(experiments.c.last_trial).where(experiments.c.id == experiment_id)
            ).scalar()
        if number is None:
            raise NotFoundError(f"no experiment has the id {experiment_id!r}; it may have been deleted")
        return int(number)

    def add_trial(self, experiment_id: str, trial: NewTrial) -> bool:
        """Queue the next trial; False if it was made before, whether or not it still exists.

        Raises ``NotFoundError`` if the experiment, or what it is to go on from, was deleted.
        """
        with self._database.write() as connection:
            key = _experiment_key(connection, experiment_id)
            row = connection.execute(select(experiments).where(experiments.c.key == key)).one()
            if trial.number <= row.last_trial:
                return False
            numbers = {"last_number": row.last_number + 1, "last_trial": trial.number}
            connection.execute(update(experiments).where(experiments.c.key == key).values(**numbers))
            made = new_run(
                trial.spec,
                experiment_key=key,
                project=row.project,
                name=f"{row.name}-{row.last_number + 1}",
                reason=Reason(code=ReasonCode.CREATED, message=trial.message),
                trial=trial.number,
                until_epoch=trial.until_epoch,
                scored=trial.scored,
                **_fork(connection, trial),
            )
            connection.execute(insert(runs).values(made))
            code_refs.record(connection, self._home, [trial.spec], [made])
            eventfeed.append_all(connection, [created_event(made, experiment_id)], actor=ACTOR)
            if trial.checkpoint_id is not None:
                start = checkpoints.get_checkpoint(connection, trial.checkpoint_id)
                checkpoints.borrow(connection, key_of(connection, made["id"]), start)
        self._doorbell.ring()
        return True

    def skip_trial(self, experiment_id: str, number: int) -> None:
        """Count a trial as made that cannot be: what it was to go on from is gone."""
        with self._database.write() as connection:
            key = _experiment_key(connection, experiment_id)
            older = (experiments.c.key == key) & (experiments.c.last_trial < number)
            connection.execute(update(experiments).where(older).values(last_trial=number))

    def promote(self, run_id: str, until_epoch: int | None, message: str) -> bool:
        """Let a run that waits train on to ``until_epoch``; False if it does not wait (any more).

        One that a person paused besides gets the new end, and goes on when that person resumes it.
        """
        with self._database.write() as connection:
            run = current(connection, run_id)
            if run.state is not RunState.PAUSED or run.until_epoch is None:
                return False
            if run.reason_code is ReasonCode.RUNG:
                reason = Reason(code=ReasonCode.PROMOTED, message=message)
                values = {"until_epoch": until_epoch, "crashes": 0}
                change_state(connection, run, RunState.QUEUED, reason, actor=ACTOR, **values)
            else:
                connection.execute(update(runs).where(runs.c.key == run.key).values(until_epoch=until_epoch))
        self._doorbell.ring()
        return True

    def stop(self, run_id: str, message: str) -> bool:
        """End a run that waits, is queued or trains; False if it is over already."""
        with self._database.write() as connection:
            run = current(connection, run_id)
            if run.state in {RunState.PAUSED, RunState.QUEUED}:
                reason = Reason(code=ReasonCode.SEARCH, message=message)
                change_state(connection, run, RunState.STOPPED, reason, actor=ACTOR)
            elif run.state in ACTIVE - {RunState.STOPPING}:
                requests.request(connection, run, Stop(reason=message), actor=ACTOR)
            else:
                return False
        self._doorbell.ring()
        return True

    def used(self, experiment_id: str) -> Used:
        """Return what the runs of an experiment used so far. One query."""
        query = (
            select(attempts.c.worker_id, attempts.c.claimed_at, attempts.c.ended_at)
            .join_from(attempts, runs)
            .join(experiments, experiments.c.key == runs.c.experiment_key)
            .where(experiments.c.id == experiment_id)
            .order_by(attempts.c.worker_id, attempts.c.claimed_at)
        )
        now = clock.now()
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        spans = [(row.worker_id, row.claimed_at, row.ended_at or now) for row in rows]
        return Used(
            seconds=_covered([span[1:] for span in spans]),
            device_seconds=sum(
                _covered([span[1:] for span in group]) for _, group in groupby(spans, key=lambda span: span[0])
            ),
        )


def put_validations(connection: Connection, run_key: int, validations: Sequence[Validation]) -> None:
    """Write what validations measured, inside a write transaction; one done again takes the place of the one before."""
    epochs = [validation.epoch for validation in validations]
    same = (evaluations.c.run_key == run_key) & evaluations.c.epoch.in_(epochs)
    connection.execute(delete(evaluations).where(same))
    rows = [
        {
            "run_key": run_key,
            "epoch": validation.epoch,
            "step": validation.step,
            "metrics": json.dumps(dict(validation.metrics), allow_nan=False),
            "scores": validation.scores,
        }
        for validation in validations
    ]
    connection.execute(insert(evaluations), rows)


def _experiment_key(connection: Connection, experiment_id: str) -> int:
    key = connection.execute(select(experiments.c.key).where(experiments.c.id == experiment_id)).scalar()
    if key is None:
        raise NotFoundError(f"no experiment has the id {experiment_id!r}; it may have been deleted")
    return int(key)


def _fork(connection: Connection, trial: NewTrial) -> dict[str, Any]:
    if trial.parent_id is None:
        return {}
    parent = find(connection, trial.parent_id)
    return {"parent_id": parent.id, "warm_start": trial.checkpoint_id, "forked": True, "priority": parent.priority}


def _covered(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """Return how many seconds are covered by spans of time that may overlap."""
    total, reached = 0.0, None
    for start, end in sorted(spans):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += (end - begin).total_seconds()
            reached = end
    return total
