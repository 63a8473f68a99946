"""What a bundle holds, once all that it says of itself fits together. Nothing is written before that is known."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import UserError
from modelyard.domain.search_log import Entry
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
from modelyard.store.metrics.columns import Columns
from modelyard.store.metrics.moving import PointReader

R = TypeVar("R", bound=Record)

MOST_CODE_BYTES = 1 << 20
_LATEST = 32_503_680_000_000
"""Milliseconds from 1970 to the year 3000."""


class Source(Protocol):
    """Where the records come from; each may be read any number of times, and is the same each time."""

    def records(self, kind: type[R]) -> Iterator[R]:
        """Yield all records of a kind, in order. Raises ``UserError`` for one that is not as it should be."""
        ...

    def points(self) -> Iterator[bytes]:
        """Yield the points of all series, in pieces of any size."""
        ...

    def blobs(self) -> Mapping[str, int]:
        """Return the size of each blob that is there, by digest."""
        ...


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Those records that a decision needs; the rest is only known to be right."""

    experiment: ExperimentRecord
    runs: Mapping[str, RunRecord]
    """By id, in the order in which they were made."""
    attempts: Mapping[str, list[AttemptRecord]] = field(default_factory=dict)
    checkpoints: Mapping[str, list[CheckpointRecord]] = field(default_factory=dict)
    """By the run that has them, oldest first."""
    blobs_of: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By run: the size of each blob that its records name, by digest."""
    entries: tuple[Entry, ...] = ()
    """The log of the search."""

    def needed_by(self, run_ids: Iterable[str]) -> set[str]:
        """Return the digests of all blobs that these runs need."""
        return {digest for run_id in run_ids for digest in self.blobs_of[run_id]}

    def position(self, run_id: str) -> tuple[int, int]:
        """Return the step and the epoch that a run would go on from: those of its newest checkpoint, else 0."""
        sound = [one for one in self.checkpoints.get(run_id, ()) if one.resumable and not one.borrowed]
        return (sound[-1].step, sound[-1].epoch) if sound else (0, 0)


def read_contents(source: Source) -> Contents:
    """Read and check everything but the bytes of blobs. Raises ``UserError`` that says what is wrong."""
    found = list(source.records(ExperimentRecord))
    _must(len(found) == 1, f"it has {len(found)} experiments instead of one")
    runs = _runs(source, found[0])
    attempts = _grouped(source.records(AttemptRecord), runs)
    for run in runs.values():
        numbers = [one.number for one in attempts.get(run.id, ())]
        _must(numbers == list(range(1, run.attempt + 1)), f"the attempts of run {run.name} are not 1 to {run.attempt}")
    checkpoints = _grouped(source.records(CheckpointRecord), runs)
    _check_checkpoints(checkpoints, runs)
    contents = Contents(
        experiment=found[0],
        runs=runs,
        attempts=attempts,
        checkpoints=checkpoints,
        blobs_of=_blobs(source, runs, checkpoints),
        entries=tuple(_numbered(source.records(SearchRecord))),
    )
    _check_requests(source, contents)
    _ascending(source.records(EvaluationRecord), runs, lambda one: one.epoch, "epochs of the validations")
    _ascending(source.records(LogRecord), runs, lambda one: one.number, "numbers of the log lines")
    for event in source.records(EventRecord):
        _must(event.run is None or event.run in runs, f"an event is about a run {event.run} that is not in it")
    _check_points(source, runs)
    return contents


def _must(right: bool, otherwise: str) -> None:
    if not right:
        raise UserError(otherwise)


def _runs(source: Source, experiment: ExperimentRecord) -> dict[str, RunRecord]:
    runs: dict[str, RunRecord] = {}
    names: set[str] = set()
    trials: set[int] = set()
    for run in source.records(RunRecord):
        _must(run.id not in runs and run.name not in names, f"run {run.name} is in it twice")
        if run.trial is not None:
            fits = run.trial not in trials and 1 <= run.trial <= experiment.last_trial
            _must(fits, f"run {run.name} cannot be trial {run.trial}")
            trials.add(run.trial)
        runs[run.id] = run
        names.add(run.name)
    _must(bool(runs), "there is no run in it")
    return runs


_OfARun = TypeVar(
    "_OfARun", AttemptRecord, CheckpointRecord, RequestRecord, ArtifactRecord, EvaluationRecord, LogRecord, SeriesRecord
)


def _known(one: _OfARun, runs: Mapping[str, RunRecord]) -> _OfARun:
    _must(one.run in runs, f"something is of a run {one.run} that is not in it")
    return one


def _grouped(records: Iterable[_OfARun], runs: Mapping[str, RunRecord]) -> dict[str, list[_OfARun]]:
    found: dict[str, list[_OfARun]] = {}
    for one in records:
        found.setdefault(_known(one, runs).run, []).append(one)
    return found


def _ascending(
    records: Iterable[_OfARun], runs: Mapping[str, RunRecord], number: Callable[[_OfARun], int], what: str
) -> None:
    newest: dict[str, int] = {}
    for one in records:
        name = runs[_known(one, runs).run].name
        _must(number(one) > newest.get(one.run, -1), f"the {what} of run {name} are not in order")
        newest[one.run] = number(one)


def _numbered(records: Iterable[SearchRecord]) -> Iterator[Entry]:
    for number, one in enumerate(records, start=1):
        _must(one.number == number, "the log of the search is not in order")
        yield one.entry


def _check_checkpoints(checkpoints: Mapping[str, list[CheckpointRecord]], runs: Mapping[str, RunRecord]) -> None:
    files: dict[str, object] = {}
    for run_id, records in checkpoints.items():
        name, attempt = runs[run_id].name, runs[run_id].attempt
        _must(len({one.id for one in records}) == len(records), f"run {name} has a checkpoint twice")
        for one in records:
            own = one.borrowed or (one.saved_by == run_id and one.attempt <= attempt)
            _must(own, f"checkpoint {one.id} cannot be of run {name}")
            _must(files.setdefault(one.id, one.files) == one.files, f"checkpoint {one.id} is two different ones")


def _blobs(
    source: Source, runs: Mapping[str, RunRecord], checkpoints: Mapping[str, list[CheckpointRecord]]
) -> dict[str, dict[str, int]]:
    """Return what each run needs: exactly what is there, in sum."""
    there = source.blobs()
    needed: dict[str, dict[str, int]] = {run_id: {} for run_id in runs}
    for run_id, records in checkpoints.items():
        for one in records:
            needed[run_id] |= dict(one.files.values())
    known: set[tuple[str, str, int]] = set()
    for artifact in source.records(ArtifactRecord):
        key = (_known(artifact, runs).run, artifact.name, artifact.step)
        _must(key not in known, f"artifact {artifact.name} of step {artifact.step} is in it twice")
        known.add(key)
        needed[artifact.run][artifact.digest] = artifact.size
    for run in runs.values():
        code = RunSpec.model_validate_json(run.spec).user_code
        if code is not None and code.code is not None:
            size = there.get(code.code, 0)
            _must(size <= MOST_CODE_BYTES, f"the code of run {run.name} has {size:,} bytes, which is no code")
            needed[run.id][code.code] = size
    for blobs in needed.values():
        for digest, size in blobs.items():
            _must(digest in there, f"the blob {digest} is missing")
            _must(there[digest] == size, f"the blob {digest} has {there[digest]:,} bytes, not {size:,}")
    extra = there.keys() - {digest for blobs in needed.values() for digest in blobs}
    _must(not extra, f"nothing in it needs the blob {min(extra, default='')}")
    return needed


def _check_requests(source: Source, contents: Contents) -> None:
    ids: set[int] = set()
    for one in source.records(RequestRecord):
        fits = _known(one, contents.runs).id not in ids and one.number <= contents.experiment.last_request
        _must(fits, f"request {one.id} is in it twice, or has a number beyond the last one")
        ids.add(one.id)
    _ascending(source.records(RequestRecord), contents.runs, lambda one: one.number, "numbers of the requests")


def _check_points(source: Source, runs: Mapping[str, RunRecord]) -> None:
    names: set[tuple[str, str]] = set()
    order: list[str] = []
    reader = PointReader(source.points())
    for one in source.records(SeriesRecord):
        run = runs[_known(one, runs).run]
        if one.run not in order[-1:]:
            order.append(one.run)
        _must((one.run, one.name) not in names, f"metric {one.name} of run {run.name} is in it twice")
        names.add((one.run, one.name))
        for points in reader.take(one.points):
            fits = _fits(points, run.attempt)
            _must(fits, f"metric {one.name} of run {run.name} has points of another attempt, or of no time")
    _must(len(set(order)) == len(order), "the series of a run are not one after the other")
    _must(reader.ended, "there are more points than the series should have")


def _fits(points: Columns, attempt: int) -> bool:
    attempts, times = points.attempts, points.times
    return bool(np.all((attempts >= 0) & (attempts <= attempt) & (times >= -_LATEST) & (times <= _LATEST)))
