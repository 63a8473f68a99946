"""Configs of the learning-rate schedules. The functions are in ``modelyard.tasks.schedules``."""

from typing import Annotated, Literal

from pydantic import Field

from modelyard.domain.base import Config
from modelyard.domain.parts._short_form import ShortForm

Share = Annotated[float, Field(ge=0, le=1)]


class Constant(Config):
    """The learning rate stays as it is."""

    name: Literal["constant"] = "constant"


class Step(Config):
    """Multiply the learning rate by ``gamma`` after every share of the run."""

    name: Literal["step"] = "step"
    every: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    """Share of the run between two drops."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor of each drop."""


class Exponential(Config):
    """Fall exponentially to ``final`` at the end of the run."""

    name: Literal["exponential"] = "exponential"
    final: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Factor at the end of the run."""


class Cosine(Config):
    """Fall along half a cosine (Loshchilov and Hutter, 2017)."""

    name: Literal["cosine"] = "cosine"
    final: Share = 0.0
    """Factor at the end of the run."""


class WarmupCosine(Config):
    """Rise linearly, then fall along half a cosine."""

    name: Literal["warmup-cosine"] = "warmup-cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the run spent rising."""
    final: Share = 0.0
    """Factor at the end of the run."""


class OneCycle(Config):
    """One-cycle policy (Smith and Topin, 2018): rise to the base rate and fall far below the start."""

    name: Literal["one-cycle"] = "one-cycle"
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the run spent rising."""
    start: Annotated[float, Field(gt=0, le=1)] = 0.04
    """Factor at the start."""
    final: Annotated[float, Field(gt=0, le=1)] = 4e-6
    """Factor at the end of the run."""


ScheduleConfig = Annotated[
    Constant | Step | Exponential | Cosine | WarmupCosine | OneCycle, Field(discriminator="name"), ShortForm
]
