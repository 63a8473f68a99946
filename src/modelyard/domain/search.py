"""The search space: which fields of a run vary, over what, and how they are combined."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from modelyard.domain.base import Config

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


class SearchConfig(Config):
    """How one base run becomes many."""

    method: Literal["single", "grid", "random", "list"] = "single"
    """``single``: the base run alone; ``grid``: all combinations; ``random``: samples; ``list``: what ``runs`` says."""
    space: dict[str, Dimension] = {}
    """Field (dotted, such as ``optimizer.learning_rate``) to its values; for ``grid`` and ``random``."""
    runs: tuple[dict[str, Json], ...] = ()
    """Explicit runs, each a mapping of dotted fields to values; for ``list``."""
    samples: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many runs to draw; for ``random``."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seeds the draws; the same seed gives the same runs."""

    @model_validator(mode="after")
    def _fits_method(self) -> Self:
        needs = {"single": (), "grid": ("space",), "random": ("space", "samples"), "list": ("runs",)}[self.method]
        for field in ("space", "runs", "samples"):
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
