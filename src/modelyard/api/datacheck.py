"""Checks runs before they are queued: what would stop a run when it is opened is told at once, all of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.agent.child_environment import child_environment
from modelyard.agent.json_child import JsonChild
from modelyard.api.inspection import check_code
from modelyard.api.snapshot import read_text, stored_text
from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError, DataError, UserError, rebuild
from modelyard.domain.parts.usercode import UserCode
from modelyard.domain.schedulers import Racing
from modelyard.domain.structure import build_key
from modelyard.store import Store

_MODULE = "modelyard.engine.check"
_MOST_PROBLEMS = 20
MOST_CHECKED = 50
"""Of runs with code of the user's own and different params, so many are tried, evenly spread."""

Opened = Mapping[str, Any]
"""What a check opened: number of samples by split, the names of the metrics, and why samples have no scores."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """How many samples training would find in each split."""

    train: int
    val: int
    test: int = 0
    metrics: tuple[str, ...] = ()
    """What a validation reports, where that is code of the user's own and was tried."""
    unscored: str = ""
    """Why validation samples have no scores that a search could race by; empty if they have."""


@dataclass(frozen=True)
class _Problem:
    """One mistake, and the numbers of the runs (from 1) that have it."""

    kind: str
    message: str
    runs: tuple[int, ...]


def check_runs(name: str, specs: Sequence[RunSpec], store: Store | None = None) -> list[Samples | None]:
    """Open the data and build the model of each distinct structure once, all in one child process.

    The child gets the secrets of ``store``. No image is decoded. Code of the user's own is run in a child of its own,
    on a few samples. Returns the samples of each run, None for those with code that were not tried.

    Raises one error with every mistake that runs would end with, each with its field and the first run that has it: a
    ``ConfigError`` or, if only data are wrong, a ``DataError``; of the user's own code, the first mistake.
    ``MissingExtraError`` without the libraries that train.
    """
    variables = {} if store is None else store.child_variables()
    images = [number for number, spec in enumerate(specs) if spec.user_code is None]
    code = [number for number, spec in enumerate(specs) if spec.user_code is not None]
    found: dict[int, Samples] = {}
    if images:
        found |= _check_images(name, specs, images, variables)
    if code:
        found |= _check_own(name, specs, code, read_text, variables)
    return [found.get(number) for number in range(len(specs))]


def check_search(sweep: SweepSpec, samples: Sequence[Samples | None]) -> None:
    """Raise ``ConfigError`` for a search that decides by validations, metrics or scores of which there will be none."""
    if not sweep.search.decides:
        return
    if any(one is not None and not one.val for one in samples):
        code = sweep.run.custom
        fix = (
            "set data.val_fraction above 0, or add some"
            if code is None
            else f"return 'val' from {code.class_name}.data()"
        )
        raise ConfigError(
            f"{sweep.name}: search: it compares runs by their validations, and there is no validation data; {fix}"
        )
    for number, one in enumerate(samples, start=1):
        if one is not None and one.unscored and isinstance(sweep.search.scheduler, Racing):
            raise ConfigError(
                f"{sweep.name}-{number}: search.scheduler: racing needs a score of each validation sample, and "
                f"{one.unscored}"
            )
        for goal in sweep.search.goals:
            if one is not None and one.metrics and goal.metric not in one.metrics:
                raise ConfigError(
                    f"{sweep.name}-{number}: search: {goal.metric!r} is not among the metrics of its validation: "
                    f"{', '.join(one.metrics)}; choose one of these, or return it from metrics()"
                )


def check_clone(store: Store, parent: RunSpec, spec: RunSpec) -> None:
    """Do the same for a clone that is not built like its parent. Raises ``ConfigError`` or ``DataError``."""
    if spec.user_code is not None:
        if (spec.user_code, spec.training) != (parent.user_code, parent.training):

            def source(config: UserCode) -> str | None:
                return stored_text(store, config) or read_text(config)

            _check_own("", [spec], [0], source, store.child_variables())
    elif build_key(spec) != build_key(parent):
        (answer,) = _ask([spec], store.child_variables())
        if problems := answer["problems"]:
            raise rebuild(problems[0]["kind"], "\n".join(problem["message"] for problem in problems))


# Image classification.


def _check_images(
    name: str, specs: Sequence[RunSpec], numbers: Sequence[int], variables: Mapping[str, str]
) -> dict[int, Samples]:
    groups = _groups(specs, numbers, build_key)
    answers = _ask([specs[group[0]] for group in groups], variables)
    problems = _collect(groups, answers)
    if problems:
        _refuse(name, specs, problems)
    return {
        number: Samples(**answer["samples"]) for group, answer in zip(groups, answers, strict=True) for number in group
    }


def _ask(specs: Sequence[RunSpec], variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the child's answer to each config; one child serves all, since starting it costs most."""
    with JsonChild(_MODULE, environment=child_environment(variables)) as child:
        for spec in specs:
            child.send({"spec": spec.model_dump(mode="json")})
        child.end_requests()
        answers = list(child.answers())
        if len(answers) < len(specs):
            raise child.failure()
    return answers


def _collect(groups: Sequence[Sequence[int]], answers: Sequence[dict[str, Any]]) -> list[_Problem]:
    """Return each mistake once, in the order of the first runs that have it."""
    found: dict[tuple[str, str], list[int]] = {}
    for numbers, answer in zip(groups, answers, strict=True):
        for problem in answer["problems"]:
            found.setdefault((problem["kind"], problem["message"]), []).extend(number + 1 for number in numbers)
    problems = [_Problem(kind, message, tuple(sorted(runs))) for (kind, message), runs in found.items()]
    return sorted(problems, key=lambda problem: problem.runs[0])


def _refuse(name: str, specs: Sequence[RunSpec], problems: Sequence[_Problem]) -> None:
    several = len({canonical_json(spec.data.model_dump(mode="json")) for spec in specs}) > 1
    lines = [_told(name, problem, everywhere=not several) for problem in problems[:_MOST_PROBLEMS]]
    if len(problems) > _MOST_PROBLEMS:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS} more mistakes")
    only_data = all(problem.kind == DataError.__name__ for problem in problems)
    error: type[UserError] = DataError if only_data else ConfigError
    raise error("\n".join(lines))


def _told(name: str, problem: _Problem, *, everywhere: bool) -> str:
    """Name the first run that has a mistake; what is wrong with the only data set there is concerns all of them."""
    if problem.kind == DataError.__name__ and everywhere:
        return problem.message
    more = len(problem.runs) - 1
    others = f" (and {more} more run{'s' * (more > 1)})" if more else ""
    return f"{name}-{problem.runs[0]}: {problem.message}{others}"


# Code of the user's own.


def _check_own(
    name: str,
    specs: Sequence[RunSpec],
    numbers: Sequence[int],
    source: Callable[[UserCode], str | None],
    variables: Mapping[str, str],
) -> dict[int, Samples]:
    groups = _groups(specs, numbers, _what_code_depends_on)
    spread = groups[:: -(-len(groups) // MOST_CHECKED)]
    requests = []
    for group in spread:
        spec = specs[group[0]]
        assert spec.user_code is not None
        requests.append({"spec": spec.model_dump(mode="json"), "source": source(spec.user_code)})
    # Code whose file says something else by now was checked when it was submitted first.
    known = [(group, request) for group, request in zip(spread, requests, strict=True) if request["source"] is not None]
    if not known:
        return {}
    answers = check_code([request for _, request in known], variables)
    return _check(name, specs, [group for group, _ in known], answers)


def _what_code_depends_on(spec: RunSpec) -> str:
    assert spec.user_code is not None
    training = spec.training
    watched = [training.checkpoint.metric, training.early_stopping and training.early_stopping.metric]
    return canonical_json([spec.user_code.model_dump(mode="json"), watched])


def _groups(specs: Sequence[RunSpec], numbers: Sequence[int], key: Callable[[RunSpec], str]) -> list[list[int]]:
    """Group run numbers (from 0) by what is to be checked of them."""
    groups: dict[str, list[int]] = {}
    for number in numbers:
        groups.setdefault(key(specs[number]), []).append(number)
    return list(groups.values())


def _check(
    name: str, specs: Sequence[RunSpec], groups: Sequence[Sequence[int]], answers: Iterator[Opened]
) -> dict[int, Samples]:
    found: dict[int, Samples] = {}
    for numbers in groups:
        try:
            opened = next(answers)
        except (ConfigError, DataError) as error:
            where = "" if len(specs) == len(numbers) else f"{name}-{numbers[0] + 1}: "
            raise type(error)(f"{where}{error}") from error
        for number in numbers:
            _batch_fits(f"{name}-{number + 1}: " if name else "", specs[number], opened["train"])
            found[number] = Samples(**{**opened, "metrics": tuple(opened.get("metrics", ()))})
    return found


def _batch_fits(where: str, spec: RunSpec, samples: int) -> None:
    size = spec.training.batch_size
    if spec.trainer is None and size > samples:
        raise ConfigError(
            f"{where}training.batch_size: {size} is larger than the {samples} training samples; use at most {samples}"
        )
