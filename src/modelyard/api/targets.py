"""Finds what a person names: runs and experiments, by name, id or the start of an id."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.domain.errors import NotFoundError, UserError
from modelyard.domain.run import Experiment, Run
from modelyard.store import Store

RUN_PREFIX, EXPERIMENT_PREFIX = "run:", "experiment:"
"""Written before a name that both a run and an experiment have."""


@dataclass(frozen=True)
class Target:
    """What one name stands for: a run, or an experiment with all of its runs."""

    ref: str
    runs: tuple[Run, ...]
    experiment: Experiment | None


def find_target(store: Store, ref: str) -> Target:
    """Find a run or an experiment. Raises ``NotFoundError``, or ``UserError`` for a name that both have."""
    run = None if ref.startswith(EXPERIMENT_PREFIX) else _run(store, ref.removeprefix(RUN_PREFIX))
    experiment = None if ref.startswith(RUN_PREFIX) else _experiment(store, ref.removeprefix(EXPERIMENT_PREFIX))
    if run is not None and experiment is not None:
        raise UserError(f"{ref!r} is a run and an experiment; write {RUN_PREFIX}{ref} or {EXPERIMENT_PREFIX}{ref}")
    if run is not None:
        return Target(ref, (run,), None)
    if experiment is not None:
        return Target(ref, tuple(store.runs.list(experiment_id=experiment.id)), experiment)
    raise NotFoundError(_nothing_named(store, ref))


def find_runs(store: Store, refs: Sequence[str]) -> list[Run]:
    """Find the runs of all refs, each once, in the order they were named."""
    found = {run.id: run for ref in refs for run in find_target(store, ref).runs}
    return list(found.values())


def _run(store: Store, ref: str) -> Run | None:
    try:
        return store.runs.get(ref)
    except NotFoundError:
        return None


def _experiment(store: Store, ref: str) -> Experiment | None:
    try:
        return store.experiments.get(ref)
    except NotFoundError:
        return None


def _nothing_named(store: Store, ref: str) -> str:
    names = [experiment.name for experiment in store.experiments.list()] + [run.name for run in store.runs.list()]
    close = difflib.get_close_matches(ref.removeprefix(RUN_PREFIX).removeprefix(EXPERIMENT_PREFIX), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; see: modelyard runs list"
    return f"no run or experiment is called {ref!r}{hint}"
