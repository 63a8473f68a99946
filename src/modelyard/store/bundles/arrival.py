"""What of a bundle is new to a home, what is there already, and what cannot be: decided before and inside the write."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, select

from modelyard.domain.errors import ConflictError
from modelyard.domain.run import FINAL
from modelyard.store.bundles.contents import Contents
from modelyard.store.bundles.records import CheckpointRecord, RunRecord
from modelyard.store.checkpoints import load_files
from modelyard.store.experiments import free_name
from modelyard.store.schema import attempts, checkpoints, experiments, runs

T = TypeVar("T")
_MOST_VALUES = 10_000
"""Values in one query, fewer than any database takes."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What an import does, or did."""

    experiment_id: str
    experiment: str
    """Its name here."""
    original_name: str
    names: Mapping[str, str]
    """By id, the name here of each run that comes."""
    original_names: Mapping[str, str]
    present: Sequence[str]
    """Names of the runs that were there already, with all that the bundle has of them."""
    with_experiment: bool
    """Whether the experiment comes, too."""


def decide(connection: Connection, contents: Contents) -> Arrival:
    """Compare a bundle with what is there. Raises ``ConflictError`` if something else has one of its ids."""
    experiment = contents.experiment
    home = connection.execute(select(experiments).where(experiments.c.id == experiment.id)).one_or_none()
    if home is not None and (home.sweep_hash, home.created_at) != (experiment.sweep_hash, experiment.created_at):
        raise ConflictError(f"another experiment, {home.name}, has the id {experiment.id} here already")
    there = _there(connection, contents)
    coming = [run for run in contents.runs.values() if run.id not in there]
    _refuse_trials(connection, home, coming)
    _refuse_checkpoints(connection, contents, {run.id for run in coming})
    project, name = (
        (experiment.project, free_name(connection, experiment.project, experiment.name))
        if home is None
        else (home.project, home.name)
    )
    return Arrival(
        experiment_id=experiment.id,
        experiment=name,
        original_name=experiment.name,
        names=_free_run_names(connection, project, coming, experiment.name, name),
        original_names={run.id: run.name for run in coming},
        present=[there[run_id] for run_id in contents.runs if run_id in there],
        with_experiment=home is None,
    )


def batches(items: Iterable[T], size: int = _MOST_VALUES) -> Iterator[list[T]]:
    """Yield lists of up to ``size`` items."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _there(connection: Connection, contents: Contents) -> dict[str, str]:
    """Return id and name of the runs that are there, with no less than the bundle has of them."""
    found = {}
    query = select(runs, experiments.c.id.label("experiment_id")).join_from(runs, experiments)
    for ids in batches(contents.runs):
        for row in connection.execute(query.where(runs.c.id.in_(ids))):
            run = contents.runs[row.id]
            same = (row.spec_hash, row.created_at, row.experiment_id) == (
                run.spec_hash,
                run.created_at,
                contents.experiment.id,
            )
            if not same:
                raise ConflictError(f"another run, {row.name}, has the id {row.id} here already")
            _refuse_more(connection, row, run, contents)
            found[row.id] = row.name
    return found


def _refuse_more(connection: Connection, row: Row[Any], run: RunRecord, contents: Contents) -> None:
    """Raise if the bundle's run went on from, or elsewhere than, the one that is there."""
    query = select(attempts.c.number, attempts.c.worker_id, attempts.c.claimed_at).where(attempts.c.run_key == row.key)
    here = {one.number: (one.worker_id, one.claimed_at) for one in connection.execute(query)}
    theirs = {one.number: (one.worker_id, one.claimed_at) for one in contents.attempts.get(run.id, ())}
    step = run.step if run.state in FINAL else contents.position(run.id)[0]
    if any(here.get(number, one) != one for number, one in theirs.items()):
        raise ConflictError(
            f"run {row.name} is here already and trained on in another way; to have the bundle's, delete it first: "
            f"modelyard delete {row.name}"
        )
    if (run.attempt, step) > (row.attempt, row.step):
        raise ConflictError(
            f"run {row.name} is here already, at step {row.step} of attempt {row.attempt}; the bundle has step {step} "
            f"of attempt {run.attempt}: to have that, delete it first: modelyard delete {row.name}"
        )


def _refuse_trials(connection: Connection, home: Row[Any] | None, coming: Sequence[RunRecord]) -> None:
    """Raise if the search has another run for one of its trials."""
    if home is None:
        return
    query = select(runs.c.trial, runs.c.name).where(runs.c.experiment_key == home.key, runs.c.trial.is_not(None))
    taken = {row.trial: row.name for row in connection.execute(query)}
    for run in coming:
        if run.trial in taken:
            raise ConflictError(f"run {run.name} cannot be trial {run.trial}: here that is {taken[run.trial]}")


def _refuse_checkpoints(connection: Connection, contents: Contents, coming: set[str]) -> None:
    """Raise if a checkpoint's id is that of another one: whoever starts from that would get the bundle's."""
    records: dict[str, CheckpointRecord] = {
        one.id: one for run_id in coming for one in contents.checkpoints.get(run_id, ())
    }
    for ids in batches(records):
        query = select(checkpoints.c.id, checkpoints.c.files).where(checkpoints.c.id.in_(ids))
        for row in connection.execute(query):
            files = {name: (blob.digest, blob.size) for name, blob in load_files(row.files).items()}
            if files != records[row.id].files:
                raise ConflictError(f"another checkpoint has the id {row.id} here already")


def _free_run_names(
    connection: Connection, project: str, coming: Sequence[RunRecord], original: str, name: str
) -> dict[str, str]:
    """Return what the runs are called here: as in the bundle, after the experiment's new name if it has one."""
    taken = set(connection.execute(select(runs.c.name).where(runs.c.project == project)).scalars())
    names = {}
    for run in coming:
        rest = run.name.removeprefix(f"{original}-")
        wanted = run.name if rest == run.name else f"{name}-{rest}"
        number, free = 1, wanted
        while free in taken:
            number += 1
            free = f"{wanted}.{number}"
        taken.add(free)
        names[run.id] = free
    return names
