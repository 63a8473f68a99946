"""Configs of the optimizers. Each builder is registered in ``modelyard.tasks.optimizers``."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from modelyard.domain.base import Config
from modelyard.domain.parts._short_form import ShortForm

Fraction = Annotated[float, Field(ge=0, lt=1)]


class _Optimizer(Config):
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Base step size; the schedule multiplies it."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Pull of the weights towards zero; norms and biases are left out unless ``decay_norm_and_bias`` is set."""
    decay_norm_and_bias: bool = False
    """Apply the weight decay to norms and biases too."""


class Sgd(_Optimizer):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Base step size; the schedule multiplies it."""
    momentum: Fraction = 0.9
    """Share of the last update that is kept."""
    nesterov: bool = False
    """Look ahead along the momentum; needs momentum above 0."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015); its weight decay is an L2 penalty."""

    name: Literal["adam"] = "adam"
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decay of the first and second moment."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the denominator."""


class AdamW(_Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Pull of the weights towards zero; norms and biases are left out unless ``decay_norm_and_bias`` is set."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decay of the first and second moment."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the denominator."""


class RmsProp(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012)."""

    name: Literal["rmsprop"] = "rmsprop"
    alpha: Fraction = 0.99
    """Decay of the squared-gradient average."""
    momentum: Fraction = 0.0
    """Share of the last update that is kept."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the denominator."""


class Lion(_Optimizer):
    """Lion (Chen et al., 2023): the sign of an interpolated momentum."""

    name: Literal["lion"] = "lion"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Base step size; the schedule multiplies it."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)
    """Interpolation for the update, and decay of the momentum."""


class Muon(_Optimizer):
    """Muon (Jordan et al., 2024) for the hidden matrices; AdamW for everything else."""

    name: Literal["muon"] = "muon"
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Base step size of the matrices; the schedule multiplies it."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Pull of the weights towards zero; norms and biases are left out unless ``decay_norm_and_bias`` is set."""
    momentum: Fraction = 0.95
    """Share of the last update that is kept."""
    nesterov: bool = True
    """Look ahead along the momentum."""
    steps: Annotated[int, Field(ge=1, le=20)] = 5
    """Newton-Schulz iterations that orthogonalise an update."""
    adamw_factor: Annotated[float, Field(gt=0)] = 0.05
    """Learning rate of the AdamW part, as a multiple of ``learning_rate``."""


def _default_name(value: Any) -> Any:
    return {"name": AdamW().name, **value} if isinstance(value, dict) and "name" not in value else value


OptimizerConfig = Annotated[
    Sgd | Adam | AdamW | RmsProp | Lion | Muon, Field(discriminator="name"), ShortForm, BeforeValidator(_default_name)
]
"""``{learning_rate: 0.1}`` alone is that of the default optimizer."""
