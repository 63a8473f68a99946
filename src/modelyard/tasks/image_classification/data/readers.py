"""One reader for each data source."""

from pathlib import Path
from typing import assert_never

from modelyard.domain.parts.data import DataConfig, Digits, HuggingFaceDataset, Idx, ImageFolder, Parquet
from modelyard.tasks.image_classification.data.digits import read_digits
from modelyard.tasks.image_classification.data.huggingface import read_huggingface
from modelyard.tasks.image_classification.data.idx import read_idx
from modelyard.tasks.image_classification.data.image_folder import read_image_folder
from modelyard.tasks.image_classification.data.parquet import read_parquet
from modelyard.tasks.image_classification.data.source import Source


def read_source(config: DataConfig, folder: Path | None = None) -> Source:
    """Read what ``config`` names. A source without a reader is an error of the type checker."""
    match config:
        case Digits():
            return read_digits(config)
        case ImageFolder():
            return read_image_folder(config, folder)
        case Parquet():
            return read_parquet(config, folder)
        case HuggingFaceDataset():
            return read_huggingface(config, folder)
        case Idx():
            return read_idx(config, folder)
        case _:
            assert_never(config)
