"""Checks the data of runs before they are queued: what would stop every run is told at once."""

from collections.abc import Sequence

from modelyard.api.inspection import check_data
from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, DataError


def check_runs(name: str, specs: Sequence[RunSpec]) -> None:
    """Open each data set of an experiment's runs once, in a child process, without decoding an image.

    Raises the ``DataError`` or ``ConfigError`` that the runs would end with, and ``ConfigError`` for a batch that is
    larger than the training data; both name the run. ``MissingExtraError`` without the libraries that read data.
    """
    groups: dict[str, list[int]] = {}
    for number, spec in enumerate(specs, start=1):
        groups.setdefault(canonical_json(spec.data.model_dump(mode="json")), []).append(number)
    members = list(groups.values())
    answers = check_data([specs[numbers[0] - 1].data.model_dump(mode="json") for numbers in members])
    for numbers in members:
        try:
            opened = next(answers)
        except (ConfigError, DataError) as error:
            where = "" if len(members) == 1 else f"{name}-{numbers[0]}: "
            raise type(error)(f"{where}{error}") from error
        for number in numbers:
            _batch_fits(f"{name}-{number}: ", specs[number - 1], opened["train"])


def check_clone(parent: RunSpec, spec: RunSpec) -> None:
    """Do the same for a clone whose data or batch size is not its parent's."""
    if spec.data != parent.data or spec.training.batch_size != parent.training.batch_size:
        (opened,) = check_data([spec.data.model_dump(mode="json")])
        _batch_fits("", spec, opened["train"])


def _batch_fits(where: str, spec: RunSpec, samples: int) -> None:
    size = spec.training.batch_size
    if size > samples:
        raise ConfigError(
            f"{where}training.batch_size: {size} is larger than the {samples} training samples; use at most {samples}"
        )
