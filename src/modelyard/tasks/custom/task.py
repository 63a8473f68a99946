"""A user's class as the engine sees it: opens its data, builds its problem."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.usercode import Custom
from modelyard.domain.ports import BlobStore
from modelyard.tasks.base import Predictor, Problem, ProblemStack, Saved, SplitName, TaskData
from modelyard.tasks.custom.contract import METHODS
from modelyard.tasks.custom.data import CustomData
from modelyard.tasks.custom.predictor import CustomPredictor
from modelyard.tasks.custom.problem import CustomProblem
from modelyard.tasks.custom.stack import CustomProblemStack
from modelyard.tasks.usercode import check_signatures, instantiate, load_entry, read_code


class CustomTask:
    """The task ``custom``. Reads the code of a run from ``blobs``, never from the user's file."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def data_key(self, spec: RunSpec, saved: Saved = None) -> str:
        """Canonical JSON of code, class and params; without the params if ``data`` is a static method."""
        config, entry = self._entry(spec, saved)
        params = {} if has_static_data(entry) else config.params
        return canonical_json({"code": config.code, "class": config.class_name, "params": params})

    def open_data(self, spec: RunSpec, saved: Saved = None) -> TaskData:
        """Call the class's ``data``. Raises ``DataError`` or ``ConfigError``."""
        config, entry = self._entry(spec, saved)
        return CustomData(config, entry if has_static_data(entry) else instantiate(config, entry))

    def build(self, spec: RunSpec, data: TaskData, saved: Saved = None) -> Problem:
        """Build the model (initial weights from the global random state). Raises ``ConfigError``."""
        assert isinstance(data, CustomData)
        check_validation(spec, data)
        config, entry = self._entry(spec, saved)
        # What data() left on its object is there for every run; what a run sets afterwards is its own.
        owner = instantiate(config, entry) if has_static_data(entry) else copy.copy(data.owner)
        sample = data.batch(SplitName.TRAIN, np.zeros(1, dtype=np.int64))
        return CustomProblem(spec, owner, sample=sample, source=self._source(config, saved))

    def stack(self, problems: Sequence[Problem]) -> ProblemStack:
        """Return what does the problems' work together."""
        return CustomProblemStack([problem for problem in problems if isinstance(problem, CustomProblem)])

    def predictor(self, spec: RunSpec, metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Predictor:
        """Build a predictor from what a checkpoint holds, and nothing else."""
        return CustomPredictor(_config(spec), metadata, weights)

    def _entry(self, spec: RunSpec, saved: Saved) -> tuple[Custom, type[Any]]:
        config = _config(spec)
        entry = load_entry(config, self._source(config, saved))
        check_signatures(config, entry, METHODS)
        return config, entry

    def _source(self, config: Custom, saved: Saved) -> str:
        return read_code(config, self._blobs) if saved is None else str(saved["source"])


def has_static_data(entry: type[Any]) -> bool:
    """Whether ``data`` is a static or class method, which the params cannot change."""
    return isinstance(inspect.getattr_static(entry, "data"), staticmethod | classmethod)


def check_validation(spec: RunSpec, data: TaskData) -> None:
    """Raise ``ConfigError`` for early stopping without anything to watch."""
    if spec.training.early_stopping is not None and not data.size(SplitName.VAL):
        raise ConfigError("training.early_stopping: there is no validation data; return a 'val' split from data()")


def _config(spec: RunSpec) -> Custom:
    assert spec.custom is not None, "RunSpec has it for this task"
    return spec.custom
