"""The search space: which fields of a run vary, over what, and how they are combined."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from modelyard.domain.base import Config
from modelyard.domain.schedulers import EveryRun, SchedulerConfig

Json = Any
"""Any JSON value."""

_Int = int
_Float = float
# The fields of Dimension are named after the built-in types, so the class body needs other names for them.


class Dimension(Config):
    """The values of one field. Exactly one of ``choice``, ``int``, ``float``, ``log`` is given."""

    choice: Annotated[tuple[Json, ...], Field(min_length=1)] | None = None
    """One of these values."""
    int: tuple[_Int, _Int] | None = None
    """A whole number from the first to the second, both included."""
    float: tuple[_Float, _Float] | None = None
    """A number between the two, evenly distributed."""
    log: tuple[_Float, _Float] | None = None
    """A number between the two, evenly distributed in its logarithm."""
    points: Annotated[_Int, Field(ge=2, le=10_000)] | None = None
    """How many values a grid takes from an ``int``, ``float`` or ``log`` range."""
    when: dict[str, Json] = {}
    """The field varies only in runs whose fields have these values: ``{model.name: vit}``."""

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Self:
        kinds = [kind for kind in ("choice", "int", "float", "log") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of choice, int, float, log (got {', '.join(kinds) or 'none'})")
        if self.bounds is not None:
            low, high = self.bounds
            if low >= high:
                raise ValueError(f"the range [{low}, {high}] is empty: the first number must be below the second")
            if self.log is not None and low <= 0:
                raise ValueError(f"a log range must start above 0, not at {low}")
        elif self.points is not None:
            raise ValueError("points is for ranges; a choice has its own values")
        return self

    @property
    def bounds(self) -> tuple[_Float, _Float] | None:
        """Both ends of a range, or None for a choice."""
        return self.int or self.float or self.log


class Objective(Config):
    """One thing that a search makes better."""

    metric: str
    """A validation metric, such as ``val_loss`` or ``val_accuracy``."""
    mode: Literal["min", "max"] | None = None
    """``min`` or ``max``; by default what the metric calls better."""


class Budget(Config):
    """What a search may use in all. Exactly one of the three is given."""

    seconds: Annotated[float, Field(gt=0)] | None = None
    """Time in which at least one of its runs trains; then all that still train are stopped."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of all runs together; a run is only begun, or goes on, if what it needs is left."""
    device_seconds: Annotated[float, Field(gt=0)] | None = None
    """Time of each engine process in which it has runs, summed; then all that still train are stopped."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of seconds, epochs, device_seconds (got {', '.join(given) or 'none'})")
        return self


Method = Literal["single", "grid", "random", "list", "tpe", "cma-es", "nsga2"]

DEFAULT_METRIC = "val_loss"
DEFAULT_CONCURRENCY = 16
LEARNING_METHODS = frozenset({"tpe", "cma-es", "nsga2"})
"""Methods whose next run depends on how the others did."""
_DRAWS = ("space", "samples")
NEEDS: Mapping[Method, tuple[str, ...]] = {
    "single": (),
    "grid": ("space",),
    "random": _DRAWS,
    "list": ("runs",),
    "tpe": _DRAWS,
    "cma-es": _DRAWS,
    "nsga2": (*_DRAWS, "objectives"),
}
"""The fields that each method takes, all of which it needs; those of other methods have no effect with it."""


class SearchConfig(Config):
    """How one base run becomes many."""

    method: Method = "single"
    """``single``: the base run alone; ``grid``: all combinations; ``random``: samples; ``list``: what ``runs`` says;
    ``tpe``, ``cma-es``, ``nsga2``: each sample learns from those before (Optuna)."""
    space: dict[str, Dimension] = {}
    """Field (dotted, such as ``optimizer.learning_rate``) to its values; for all but ``single`` and ``list``."""
    runs: tuple[dict[str, Json], ...] = ()
    """Explicit runs, each a mapping of dotted fields to values; for ``list``."""
    samples: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many runs to draw; for ``random``, ``tpe``, ``cma-es`` and ``nsga2``."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seeds the draws; the same seed gives the same runs, and the same decisions about them."""
    metric: str | None = None
    """The validation metric that decides which runs are better; ``val_loss`` if something has to be decided."""
    mode: Literal["min", "max"] | None = None
    """``min`` or ``max``; by default what the metric calls better."""
    objectives: tuple[Objective, ...] = ()
    """Two or more metrics that are traded off against each other; for ``nsga2``, in place of ``metric``."""
    scheduler: SchedulerConfig = EveryRun()
    """Which runs go on and which end early."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = DEFAULT_CONCURRENCY
    """Runs that are begun before the first result is needed. It decides what the search knows when it decides, so it
    is part of what makes a search repeatable; how many really train at a time depends on the machine."""
    budget: Budget | None = None
    """Ends the search before it has drawn all samples."""

    @model_validator(mode="after")
    def _fits_method(self) -> Self:
        needs = NEEDS[self.method]
        for field in ("space", "runs", "samples", "objectives"):
            given = bool(getattr(self, field))
            if field in needs and not given:
                raise ValueError(f"method {self.method!r} needs {field!r}")
            if field not in needs and given:
                raise ValueError(f"{field!r} has no effect with method {self.method!r}; remove it or change the method")
        if self.method == "grid":
            for path, dimension in self.space.items():
                if dimension.choice is None and dimension.points is None:
                    raise ValueError(f"{path}: a grid over a range needs 'points'")
        return self

    @model_validator(mode="after")
    def _decides_something(self) -> Self:
        if self.method == "single" and (self.scheduler != EveryRun() or self.budget is not None):
            field = "budget" if self.scheduler == EveryRun() else "scheduler"
            raise ValueError(f"{field!r} has no effect with method 'single': there is one run and nothing to choose")
        if not self.decides:
            for field, default in (("metric", None), ("mode", None), ("concurrency", DEFAULT_CONCURRENCY)):
                if getattr(self, field) != default:
                    raise ValueError(
                        f"{field!r} has no effect: with method {self.method!r}, no scheduler and no budget, every run "
                        "trains to its end; remove it, or choose a scheduler"
                    )
        return self

    @model_validator(mode="after")
    def _fits_scheduler(self) -> Self:
        name = self.scheduler.name
        if name != "none" and self.method in {"cma-es", "nsga2"}:
            raise ValueError(
                f"method {self.method!r} compares finished runs, so scheduler {name!r} cannot end them early; "
                "use method 'tpe' or 'random', or leave the scheduler out"
            )
        if name == "pbt" and self.method == "tpe":
            raise ValueError(
                "scheduler 'pbt' finds new values by itself; use it with method 'random', 'grid' or 'list'"
            )
        if self.objectives and (self.metric is not None or self.mode is not None):
            raise ValueError("give either metric or objectives, not both")
        if len(self.objectives) == 1:
            raise ValueError("objectives: one alone is a metric; write metric instead, or add another")
        if self.method == "cma-es" and sum(not one.when and one.choice is None for one in self.space.values()) < 2:
            raise ValueError(
                "method 'cma-es' needs at least two ranges (int, float, log) without 'when'; use 'tpe' for this space"
            )
        return self

    @property
    def decides(self) -> bool:
        """Whether the search looks at results; otherwise its runs are all queued at once."""
        return self.method in LEARNING_METHODS or self.scheduler != EveryRun() or self.budget is not None

    @property
    def goals(self) -> tuple[Objective, ...]:
        """What is made better; one objective unless there are several."""
        return self.objectives or (Objective(metric=self.metric or DEFAULT_METRIC, mode=self.mode),)
