"""Looks whether training could open a data set, without decoding or hashing any image."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import DataConfig
from modelyard.tasks.image_classification.data.defaults import choose_preprocessing
from modelyard.tasks.image_classification.data.image_data import choose_samples, find_problems
from modelyard.tasks.image_classification.data.readers import read_source


class OpenedData(BaseModel):
    """Number of samples in each split as training would draw them, and the classes in label order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: int
    val: int
    test: int
    classes: list[str]


def check(config: DataConfig, *, folder: Path | None = None) -> OpenedData:
    """Follow ``open_data`` as far as it goes without reading images. Raises its ``DataError`` or ``ConfigError``.

    Where a pretrained model may decide the channels, their mean and std are not looked at.
    """
    source = read_source(config, folder)
    problems = find_problems(source)
    if problems:
        raise DataError("\n".join(problems))
    samples = choose_samples(source, config)
    if config.mean is None or config.channels is not None:
        choose_preprocessing(config, source, None)
    sizes = {key: len(chosen) for key, chosen in samples.items()}
    return OpenedData(train=sizes["train"], val=sizes["val"], test=sizes["test"], classes=list(source.classes))
