"""``python -m modelyard.engine.check``: opens data and builds models as training would, to find mistakes before it.

Reads JSON objects from standard input, one a line: ``{"spec": <RunSpec>}``. Writes one JSON line for each:
``{"samples": {"train": n, "val": n, "test": n}, "problems": [{"kind": <class of the error>, "message": ...}]}``;
``samples`` is null for data that cannot be opened. Nothing is decoded, hashed or trained.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, UserError
from modelyard.engine.data_plan import DataPlan
from modelyard.engine.environment import choose_device
from modelyard.tasks.base import SplitName, TaskData
from modelyard.tasks.catalogue import task_for

Problem = dict[str, str]


class Checker:
    """Checks configs one after the other; each data set is opened once."""

    def __init__(self) -> None:
        self._data: dict[str, TaskData | UserError] = {}

    def check(self, spec: RunSpec) -> dict[str, Any]:
        """Return the number of samples of each split, and everything that is found to be wrong."""
        problems: list[Problem] = []
        _try(problems, lambda: choose_device(spec, torch.device("cpu")))
        data = self._open(spec)
        if isinstance(data, UserError):
            return {"samples": None, "problems": [*problems, _problem(data)]}
        _try(problems, lambda: DataPlan.of(spec, samples=data.size(SplitName.TRAIN)))
        _try(problems, lambda: _build(spec, data))
        return {"samples": {split.value: data.size(split) for split in SplitName}, "problems": problems}

    def _open(self, spec: RunSpec) -> TaskData | UserError:
        task = task_for(spec)
        try:
            key = task.data_key(spec)
            if key not in self._data:
                self._data[key] = self._opened(spec)
        except UserError as error:  # what a pretrained model wants of the data cannot be read
            return error
        return self._data[key]

    def _opened(self, spec: RunSpec) -> TaskData | UserError:
        try:
            return task_for(spec).open_data(spec)
        except UserError as error:
            return error


def _build(spec: RunSpec, data: TaskData) -> None:
    try:
        task_for(spec).build(spec, data)
    except UserError:
        raise
    except Exception as error:
        raise ConfigError(f"model: it cannot be built for these data ({type(error).__name__}: {error})") from error


def _try(problems: list[Problem], work: Callable[[], object]) -> None:
    try:
        work()
    except UserError as error:
        problems.append(_problem(error))


def _problem(error: UserError) -> Problem:
    return {"kind": type(error).__name__, "message": str(error)}


def main() -> int:
    """Answer the requests on standard input; return the exit code."""
    checker = Checker()
    for line in sys.stdin:
        spec = RunSpec.model_validate(json.loads(line)["spec"])
        sys.stdout.write(f"{json.dumps(checker.check(spec))}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
