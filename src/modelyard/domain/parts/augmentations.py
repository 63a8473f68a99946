"""Configs of the batch augmentations. Each function is registered in ``modelyard.tasks.augmentations``."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from modelyard.domain.base import Config
from modelyard.domain.parts._short_form import ShortForm

Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0, le=1)]


class _Random(Config):
    probability: Probability = 0.5
    """Share of the samples that are changed."""


class HorizontalFlip(_Random):
    """Mirror left to right."""

    name: Literal["horizontal-flip"] = "horizontal-flip"


class VerticalFlip(_Random):
    """Mirror top to bottom."""

    name: Literal["vertical-flip"] = "vertical-flip"


class Rotation(_Random):
    """Rotate about the centre."""

    name: Literal["rotation"] = "rotation"
    degrees: Annotated[float, Field(gt=0, le=180)] = 15.0
    """Largest angle, either way."""


class Affine(_Random):
    """Rotate, shift, scale and shear."""

    name: Literal["affine"] = "affine"
    degrees: Annotated[float, Field(ge=0, le=180)] = 10.0
    """Largest angle, either way."""
    translate: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest shift as a share of the image's side."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest change of size, as a share."""
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0
    """Largest shear angle in degrees."""


class Perspective(_Random):
    """Move the corners at random."""

    name: Literal["perspective"] = "perspective"
    distortion: Strength = 0.3
    """Largest move of a corner as a share of half the image's side."""


class ColorJitter(_Random):
    """Change brightness, contrast, saturation and hue; the last two only for colour images."""

    name: Literal["color-jitter"] = "color-jitter"
    probability: Probability = 1.0
    """Share of the samples that are changed."""
    brightness: Strength = 0.2
    """Largest change, as a share."""
    contrast: Strength = 0.2
    """Largest change, as a share."""
    saturation: Strength = 0.2
    """Largest change, as a share."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest change, as a share of the colour circle."""


class Blur(_Random):
    """Gaussian blur."""

    name: Literal["blur"] = "blur"
    kernel_size: Annotated[int, Field(ge=3, le=63)] = 3
    """Side of the kernel in pixels; odd."""
    sigma: Annotated[float, Field(gt=0)] = 1.0
    """Largest standard deviation in pixels."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {self.kernel_size}")
        return self


class Noise(_Random):
    """Add Gaussian noise; pixels are between 0 and 1."""

    name: Literal["noise"] = "noise"
    std: Annotated[float, Field(gt=0)] = 0.05
    """Standard deviation of the noise."""


class Erasing(_Random):
    """Blank out a rectangle (Zhong et al., 2020)."""

    name: Literal["erasing"] = "erasing"
    area: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Largest area of the rectangle as a share of the image."""


class Mixup(_Random):
    """Blend pairs of samples and their labels (Zhang et al., 2018)."""

    name: Literal["mixup"] = "mixup"
    probability: Probability = 1.0
    """Share of the samples that are changed."""
    alpha: Annotated[float, Field(gt=0)] = 0.2
    """Both parameters of the Beta distribution of the share."""


class CutMix(_Random):
    """Paste a rectangle of another sample, and its share of the label (Yun et al., 2019)."""

    name: Literal["cutmix"] = "cutmix"
    probability: Probability = 1.0
    """Share of the samples that are changed."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Both parameters of the Beta distribution of the area."""


Augmentation = Annotated[
    HorizontalFlip
    | VerticalFlip
    | Rotation
    | Affine
    | Perspective
    | ColorJitter
    | Blur
    | Noise
    | Erasing
    | Mixup
    | CutMix,
    Field(discriminator="name"),
    ShortForm,
]

PRESETS: dict[str, tuple[Augmentation, ...]] = {
    "none": (),
    "light": (HorizontalFlip(), Affine(degrees=5.0, translate=0.05, scale=0.05)),
    "standard": (HorizontalFlip(), Affine(), ColorJitter()),
    "strong": (HorizontalFlip(), Affine(degrees=20.0, translate=0.15, scale=0.2), ColorJitter(), Erasing(), Mixup()),
    "digits": (Affine(degrees=10.0, translate=0.08, scale=0.1, probability=0.8), Noise(std=0.03)),
}
"""Named lists; ``digits`` has no flips, since a mirrored digit is another sign."""


def _expand_preset(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in PRESETS:
        raise ValueError(f"{value!r} is not a preset; the presets are {', '.join(PRESETS)}")
    return PRESETS[value]


AugmentConfig = Annotated[tuple[Augmentation, ...], BeforeValidator(_expand_preset)]
