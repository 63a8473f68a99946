"""Checks the data of runs before they are queued: what would stop every run is told at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from modelyard.api.inspection import check_code, check_data
from modelyard.api.snapshot import read_text, stored_text
from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, DataError
from modelyard.domain.parts.usercode import UserCode
from modelyard.store import Store

MOST_CHECKED = 50
"""Of runs with code of the user's own and different params, so many are tried, evenly spread."""

Sized = Mapping[str, Any]
"""What a check opened: number of samples by split."""


def check_runs(name: str, specs: Sequence[RunSpec]) -> None:
    """Open each data set of an experiment's runs once, in a child process, without decoding an image.

    Code of the user's own is run there on a few samples. Raises the ``DataError`` or ``ConfigError`` that the runs
    would end with, and ``ConfigError`` for a batch that is larger than the training data; both name the run.
    ``MissingExtraError`` without the libraries that read data.
    """
    images = [number for number, spec in enumerate(specs) if spec.user_code is None]
    code = [number for number, spec in enumerate(specs) if spec.user_code is not None]
    if images:
        groups = _groups(specs, images, lambda spec: spec.data.model_dump(mode="json"))
        _check(name, specs, groups, check_data([specs[numbers[0]].data.model_dump(mode="json") for numbers in groups]))
    if code:
        _check_own(name, specs, code, read_text)


def check_clone(store: Store, parent: RunSpec, spec: RunSpec) -> None:
    """Do the same for a clone whose data, code or batch size is not its parent's."""
    if spec.user_code is not None:
        if (spec.user_code, spec.training) != (parent.user_code, parent.training):
            _check_own("", [spec], [0], lambda config: stored_text(store, config) or read_text(config))
    elif spec.data != parent.data or spec.training.batch_size != parent.training.batch_size:
        (opened,) = check_data([spec.data.model_dump(mode="json")])
        _batch_fits("", spec, opened["train"])


def _check_own(
    name: str, specs: Sequence[RunSpec], numbers: Sequence[int], source: Callable[[UserCode], str | None]
) -> None:
    groups = _groups(specs, numbers, _what_code_depends_on)
    spread = groups[:: -(-len(groups) // MOST_CHECKED)]
    requests = []
    for group in spread:
        spec = specs[group[0]]
        assert spec.user_code is not None
        requests.append({"spec": spec.model_dump(mode="json"), "source": source(spec.user_code)})
    # Code whose file says something else by now was checked when it was submitted first.
    known = [(group, request) for group, request in zip(spread, requests, strict=True) if request["source"] is not None]
    if known:
        _check(name, specs, [group for group, _ in known], check_code([request for _, request in known]))


def _what_code_depends_on(spec: RunSpec) -> Any:
    assert spec.user_code is not None
    training = spec.training
    watched = [training.checkpoint.metric, training.early_stopping and training.early_stopping.metric]
    return [spec.user_code.model_dump(mode="json"), watched]


def _groups(specs: Sequence[RunSpec], numbers: Sequence[int], key: Callable[[RunSpec], Any]) -> list[list[int]]:
    """Group run numbers (from 0) by what is to be checked of them."""
    groups: dict[str, list[int]] = {}
    for number in numbers:
        groups.setdefault(canonical_json(key(specs[number])), []).append(number)
    return list(groups.values())


def _check(name: str, specs: Sequence[RunSpec], groups: Sequence[Sequence[int]], answers: Iterator[Sized]) -> None:
    for numbers in groups:
        try:
            opened = next(answers)
        except (ConfigError, DataError) as error:
            where = "" if len(specs) == len(numbers) else f"{name}-{numbers[0] + 1}: "
            raise type(error)(f"{where}{error}") from error
        for number in numbers:
            _batch_fits(f"{name}-{number + 1}: " if name else "", specs[number], opened["train"])


def _batch_fits(where: str, spec: RunSpec, samples: int) -> None:
    size = spec.training.batch_size
    if spec.trainer is None and size > samples:
        raise ConfigError(
            f"{where}training.batch_size: {size} is larger than the {samples} training samples; use at most {samples}"
        )
