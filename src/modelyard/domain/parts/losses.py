"""Configs of the loss functions. Each builder is registered in ``modelyard.tasks.losses``."""

from typing import Annotated, Literal

from pydantic import Field

from modelyard.domain.base import Config
from modelyard.domain.parts._short_form import ShortForm

ClassWeights = Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None


class CrossEntropy(Config):
    """Cross entropy of the softmax."""

    name: Literal["cross-entropy"] = "cross-entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread evenly over all classes."""
    class_weights: ClassWeights = None
    """``balanced`` (inverse to the class counts), or one weight per class."""


class Focal(Config):
    """Focal loss (Lin et al., 2017): cross entropy with less weight on samples that are already right."""

    name: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(ge=0)] = 2.0
    """Focusing exponent; 0 is plain cross entropy."""
    class_weights: ClassWeights = None
    """``balanced`` (inverse to the class counts), or one weight per class."""


class BinaryCrossEntropy(Config):
    """One binary cross entropy per class, on the one-hot target."""

    name: Literal["bce"] = "bce"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread evenly over all classes."""
    class_weights: ClassWeights = None
    """``balanced`` (inverse to the class counts), or one weight per class."""


class MeanSquaredError(Config):
    """Mean squared error between the softmax and the one-hot target."""

    name: Literal["mse"] = "mse"


class Huber(Config):
    """Huber loss between the softmax and the one-hot target."""

    name: Literal["huber"] = "huber"
    delta: Annotated[float, Field(gt=0)] = 1.0
    """Error above which the loss grows linearly."""


LossConfig = Annotated[
    CrossEntropy | Focal | BinaryCrossEntropy | MeanSquaredError | Huber, Field(discriminator="name"), ShortForm
]
