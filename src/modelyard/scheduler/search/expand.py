"""Turns a sweep into the runs it asks for."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.search import Json, SearchConfig
from modelyard.domain.validation import validate
from modelyard.scheduler.search.conditions import holds, settle_order
from modelyard.scheduler.search.edit import Data, assign, assign_all
from modelyard.scheduler.search.paths import locate
from modelyard.scheduler.search.values import draw, grid_values

MAX_RUNS = 10_000
"""A search that makes more runs than this is taken for a mistake."""

_SHOWN_PROBLEMS = 10


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A run before it is checked, and how it came about."""

    data: Data
    changes: Mapping[str, Json] = field(default_factory=dict)
    rank: tuple[int, ...] = ()
    """Where it stands in a grid: for each dimension settled so far, the number of its value."""


def expand(sweep: SweepSpec) -> tuple[RunSpec, ...]:
    """Return the runs that a sweep asks for, in order; a run that comes up twice is kept once.

    A grid varies its last dimension fastest. Raises ``ConfigError`` that names the run by its number, the field, and
    what to do.
    """
    base = sweep.run.model_dump(mode="json")
    makers = {"single": _single, "grid": _grid, "random": _random, "list": _list}
    return _checked(makers[sweep.search.method](base, sweep.search), sweep.search.method)


def _single(base: Data, search: SearchConfig) -> Iterator[_Candidate]:
    del search
    yield _Candidate(data=base)


def _list(base: Data, search: SearchConfig) -> Iterator[_Candidate]:
    if len(search.runs) > MAX_RUNS:
        raise ConfigError(f"search.runs: {len(search.runs):,} runs; at most {MAX_RUNS:,} fit in one experiment")
    for number, changes in enumerate(search.runs, start=1):
        try:
            yield _Candidate(data=assign_all(base, changes), changes=changes)
        except ConfigError as error:
            raise ConfigError(f"search.runs.{number - 1}: run {number}: {error}") from error


def _random(base: Data, search: SearchConfig) -> Iterator[_Candidate]:
    order = settle_order(search.space)
    whole = {path: locate(path).takes_only_whole_numbers for path in order}
    for sample in range(search.samples or 0):
        candidate = _Candidate(data=base)
        for path in order:
            dimension = search.space[path]
            if holds(dimension.when, candidate.data):
                value = draw(dimension, seed=search.seed, path=path, sample=sample, whole=whole[path])
                candidate = _vary(candidate, path, value)
        yield candidate


def _grid(base: Data, search: SearchConfig) -> Iterator[_Candidate]:
    order = settle_order(search.space)
    values_of = {path: grid_values(search.space[path], whole=locate(path).takes_only_whole_numbers) for path in order}
    _refuse_too_many(math.prod(len(values_of[path]) for path in order if not search.space[path].when))
    candidates = [_Candidate(data=base)]
    for path in order:
        dimension, values = search.space[path], values_of[path]
        _refuse_too_many(sum(len(values) if holds(dimension.when, each.data) else 1 for each in candidates))
        candidates = [
            branch for candidate in candidates for branch in _branches(candidate, path, values, dimension.when)
        ]
        if not any(path in candidate.changes for candidate in candidates):
            raise ConfigError(f"search.space.{path}: its `when` holds in no run, so it varies nothing")
    positions = [order.index(path) for path in search.space]
    yield from sorted(candidates, key=lambda candidate: [candidate.rank[position] for position in positions])


def _refuse_too_many(count: int) -> None:
    """Raise before the runs are made: a grid grows faster than anybody expects."""
    if count > MAX_RUNS:
        raise ConfigError(
            f"search.space: the grid has {count:,} runs, more than {MAX_RUNS:,}; take away values or dimensions, "
            "or use method: random"
        )


def _branches(
    candidate: _Candidate, path: str, values: tuple[Json, ...], when: Mapping[str, Json]
) -> Iterator[_Candidate]:
    if not holds(when, candidate.data):
        yield _Candidate(data=candidate.data, changes=candidate.changes, rank=(*candidate.rank, 0))
        return
    for number, value in enumerate(values):
        yield _vary(candidate, path, value, rank=(*candidate.rank, number))


def _vary(candidate: _Candidate, path: str, value: Json, *, rank: tuple[int, ...] = ()) -> _Candidate:
    try:
        data = assign(candidate.data, path, value)
    except ConfigError as error:
        problem = str(error).removeprefix(f"{path}: ")
        raise ConfigError(f"search.space.{path}: in a run with {_summary(candidate.changes)}: {problem}") from error
    return _Candidate(data=data, changes={**candidate.changes, path: value}, rank=rank)


def _checked(candidates: Iterator[_Candidate], method: str) -> tuple[RunSpec, ...]:
    """Validate every candidate and drop repeats; collect the problems of all, each told once."""
    runs: dict[str, RunSpec] = {}
    problems: dict[tuple[str, str], list[str]] = {}
    for number, candidate in enumerate(candidates, start=1):
        try:
            run = validate(RunSpec, candidate.data)
        except ConfigError as error:
            where = f"run {number} ({_summary(candidate.changes)})"
            for problem in str(error).splitlines():
                problems.setdefault((_place(problem, number, candidate, method), problem), []).append(where)
        else:
            runs.setdefault(run.hash, run)
    if problems:
        raise ConfigError("\n".join(_report(problems)))
    return tuple(runs.values())


def _place(problem: str, number: int, candidate: _Candidate, method: str) -> str:
    """Return the part of the sweep that a problem of one run comes from."""
    if method == "list":
        return f"search.runs.{number - 1}"
    path = problem.partition(":")[0]
    return f"search.space.{path}" if path in candidate.changes else "search"


def _report(problems: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    for (place, problem), where in list(problems.items())[:_SHOWN_PROBLEMS]:
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        yield f"{place}: {where[0]}{more}: {problem}"
    if len(problems) > _SHOWN_PROBLEMS:
        yield f"and {len(problems) - _SHOWN_PROBLEMS} more problems"


def _summary(changes: Mapping[str, Json]) -> str:
    return ", ".join(f"{path}={value}" for path, value in changes.items()) or "no changes"
