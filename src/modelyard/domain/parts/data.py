"""Configs of the image sources. Each reader is registered in ``modelyard.tasks.image_classification.data``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.domain.base import Config

ROOTS_VARIABLE = "MODELYARD_DATA_ROOTS"
"""Environment variable: the folders that data may be read from, separated as in ``PATH``; without it, any."""

Share = Annotated[float, Field(ge=0, lt=1)]


class _Images(Config):
    image_size: Annotated[int, Field(ge=4, le=4096)] | None = None
    """Side of the square that images are resized to; by default what the source or the pretrained model has."""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; by default what the source or the pretrained model has."""
    mean: tuple[float, ...] | None = None
    """Per channel, subtracted from pixels between 0 and 1; by default 0.5, or the pretrained model's."""
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Per channel, divides after ``mean``; by default 0.5, or the pretrained model's."""
    val_fraction: Share = 0.2
    """Share of the training data held out for validation, when the source has no validation split."""
    test_fraction: Share = 0.0
    """Share of the training data held out for the final test, when the source has no test split."""
    stratify: bool = True
    """Keep the classes' shares the same in every split that is drawn."""
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seeds the drawing of the splits."""
    max_per_class: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Largest number of training samples per class: one for all, or one for each class in label order."""
    cache_mebibytes: Annotated[int, Field(ge=0)] = 1024
    """Memory for decoded images; what does not fit is decoded in each epoch, ahead of its step."""

    @model_validator(mode="after")
    def _fractions_leave_training_data(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction and test_fraction together must stay below 1")
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both mean and std, or neither")
        return self


class Digits(_Images):
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels; needs no download."""

    source: Literal["digits"] = "digits"
    test_fraction: Share = 0.1
    """Share of the training data held out for the final test, when the source has no test split."""


class ImageFolder(_Images):
    """One folder per class, under ``train/``, ``val/`` and ``test/`` or directly under ``path``."""

    source: Literal["image-folder"] = "image-folder"
    path: Annotated[str, Field(min_length=1)]
    """The folder; a relative path starts at the sweep file's folder."""


class Parquet(_Images):
    """Parquet files with encoded images (bytes, or Hugging Face's ``{bytes, path}``) and labels."""

    source: Literal["parquet"] = "parquet"
    path: Annotated[str, Field(min_length=1)]
    """A file, or a folder with ``train*.parquet`` and, where they exist, ``val*`` and ``test*``."""
    image_column: str = "image"
    """Column with the images."""
    label_column: str = "label"
    """Column with the labels: integers or names."""


class HuggingFaceDataset(_Images):
    """A folder that ``datasets.Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote."""

    source: Literal["huggingface"] = "huggingface"
    path: Annotated[str, Field(min_length=1)]
    """The folder; a relative path starts at the sweep file's folder."""
    image_column: str = "image"
    """Column with the images."""
    label_column: str = "label"
    """Column with the labels: integers or names."""


class Idx(_Images):
    """IDX files as MNIST has them (``train-images-idx3-ubyte`` and so on, plain or gzipped)."""

    source: Literal["idx"] = "idx"
    path: Annotated[str, Field(min_length=1)]
    """The folder; a relative path starts at the sweep file's folder."""


DataConfig = Annotated[Digits | ImageFolder | Parquet | HuggingFaceDataset | Idx, Field(discriminator="source")]
