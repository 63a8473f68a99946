"""A search space as Optuna sees it: each dimension is suggested in the order in which they are settled."""

import math
from typing import Any, Protocol

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.search import Dimension, Json
from modelyard.domain.validation import validate
from modelyard.scheduler.search.conditions import holds, settle_order
from modelyard.scheduler.search.edit import Data, assign
from modelyard.scheduler.search.paths import locate
from modelyard.scheduler.search.values import rounded


class Suggests(Protocol):
    """What of an Optuna trial is used."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of ``choices``."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number between the two."""
        ...


class SuggestedSpace:
    """The space of a sweep."""

    def __init__(self, sweep: SweepSpec) -> None:
        """Raise ``ConfigError`` for fields that do not exist and conditions that cannot be settled."""
        self._base: Data = sweep.run.model_dump(mode="json")
        self._space = sweep.search.space
        self._order = settle_order(self._space)
        self._whole = {path: locate(path).takes_only_whole_numbers for path in self._order}

    def suggest(self, trial: Suggests) -> RunSpec:
        """Take a value of each dimension that applies. Raises ``ConfigError`` if they make no valid run."""
        data = self._base
        for path in self._order:
            dimension = self._space[path]
            if holds(dimension.when, data):
                data = assign(data, path, _value(trial, path, dimension, whole=self._whole[path]))
        return validate(RunSpec, data)


def _value(trial: Suggests, path: str, dimension: Dimension, *, whole: bool) -> Json:
    if dimension.choice is not None:
        return dimension.choice[trial.suggest_categorical(path, tuple(range(len(dimension.choice))))]
    if dimension.int is not None:
        return trial.suggest_int(path, *dimension.int)
    assert dimension.bounds is not None
    low, high = dimension.bounds
    if dimension.log is not None and whole:
        if math.ceil(low) > math.floor(high):
            raise ConfigError(f"search.space.{path}: there is no whole number between {low} and {high}")
        return trial.suggest_int(path, math.ceil(low), math.floor(high), log=True)
    return rounded(trial.suggest_float(path, low, high, log=dimension.log is not None), low, high)
