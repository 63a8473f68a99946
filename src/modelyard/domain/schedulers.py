"""Configs of the schedulers: which runs of a search go on, and which end early. See ``modelyard.scheduler.search``."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from modelyard.domain.base import Config
from modelyard.domain.parts._short_form import ShortForm

Epochs = Annotated[int, Field(ge=1, le=1_000_000)]
Reduction = Annotated[int, Field(ge=2, le=100)]


class EveryRun(Config):
    """Every run trains to its end."""

    name: Literal["none"] = "none"


class Asha(Config):
    """Asynchronous successive halving by promotion (Li et al., 2020): at each rung the best share goes on."""

    name: Literal["asha"] = "asha"
    min_epochs: Epochs = 1
    """The first rung: every run trains so many epochs."""
    reduction: Reduction = 3
    """One in so many goes on from a rung, and the next rung has so many times the epochs."""


class Pasha(Config):
    """ASHA whose last rung grows only while the ranking still changes (Bohdal et al., 2023)."""

    name: Literal["pasha"] = "pasha"
    min_epochs: Epochs = 1
    """The first rung: every run trains so many epochs."""
    reduction: Reduction = 3
    """One in so many goes on from a rung, and the next rung has so many times the epochs."""
    noise_percentile: Annotated[float, Field(ge=0, le=100)] = 90.0
    """Runs whose curves cross again and again differ by noise; this percentile of their differences counts as none."""


class Hyperband(Config):
    """Several ASHA brackets, from many short runs to few that train to the end (Li et al., 2018)."""

    name: Literal["hyperband"] = "hyperband"
    min_epochs: Epochs = 1
    """The first rung of the bracket that stops earliest."""
    reduction: Reduction = 3
    """One in so many goes on from a rung, and the next rung has so many times the epochs."""


class Median(Config):
    """Stop a run whose best value is worse than the median of the others' running averages (Golovin et al., 2017)."""

    name: Literal["median"] = "median"
    grace: Epochs = 1
    """Epochs before a run can be stopped."""
    interval: Epochs = 1
    """Epochs between two looks at a run."""
    min_runs: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Other runs that must have come as far before one can be stopped."""


class PopulationBased(Config):
    """Population based training (Jaderberg et al., 2017): the worst go on as copies of the best with other values."""

    name: Literal["pbt"] = "pbt"
    interval: Epochs = 1
    """Epochs between two generations."""
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of the runs that is replaced, and share of the best that replaces them."""
    resample: Annotated[float, Field(ge=0, le=1)] = 0.25
    """How likely a value is drawn anew from the space; else a number is multiplied by 0.8 or 1.25."""


class Racing(Config):
    """Stop a run once it is worse than the best beyond doubt, sample by sample of the validation data."""

    name: Literal["racing"] = "racing"
    interval: Epochs | None = None
    """Epochs between two looks at all runs that are left; by default a ninth of all: early ranks seldom last."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """A run that is worse than the best by no more than this, in its score between 0 and 1, goes on."""
    patience: Annotated[int, Field(ge=1, le=1000)] = 2
    """A run ends when it is found worse at so many looks in a row."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """How likely it may be, over the whole search, that any run is found worse that is not."""

    def every(self, epochs: int) -> int:
        """Return the interval in runs of so many epochs."""
        return self.interval or max(1, epochs // 9)


SchedulerConfig = Annotated[
    EveryRun | Asha | Pasha | Hyperband | Median | PopulationBased | Racing, Field(discriminator="name"), ShortForm
]


def rungs(first: int, reduction: int, most: int) -> tuple[int, ...]:
    """Return the epochs of the rungs below ``most``: ``first``, ``first * reduction``, and so on."""
    return tuple(_powers(first, reduction, most))


def _powers(first: int, reduction: int, most: int) -> Iterator[int]:
    while first < most:
        yield first
        first *= reduction
