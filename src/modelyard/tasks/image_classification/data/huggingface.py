"""Folders that ``datasets`` wrote with ``save_to_disk``; memory-mapped, so they may be larger than memory."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.domain.errors import DataError, MissingExtraError
from modelyard.domain.parts.data import HuggingFaceDataset
from modelyard.tasks.image_classification.data.arrow import ArrowImages, check_columns
from modelyard.tasks.image_classification.data.labels import Labels, index_labels
from modelyard.tasks.image_classification.data.paths import inside, require_folder, resolve_data_path
from modelyard.tasks.image_classification.data.source import SPLIT_ALIASES, Samples, Source, SplitKey


def read_huggingface(config: HuggingFaceDataset, folder: Path | None) -> Source:
    """Open a saved ``Dataset`` (all of it training data) or ``DatasetDict``; nothing is decoded.

    Raises ``DataError`` for a folder that ``datasets`` cannot load, missing columns, and paths that leave the folder.
    """
    root = require_folder(resolve_data_path(config.path, folder))
    _check_files(root)
    loaded, notes = _splits(_load(root), root)
    columns: dict[SplitKey, Labels] = {}
    images: dict[SplitKey, ArrowImages] = {}
    for key, dataset in loaded.items():
        table = dataset.with_format("arrow")[:]  # a view of the mapped files; images stay encoded
        check_columns(table.schema, config, where=f"split {key}")
        images[key] = ArrowImages(table.column(config.image_column), root=root, name=key)
        columns[key] = Labels(f"{key} {config.label_column!r}", table.column(config.label_column).to_pylist())
    names = getattr(loaded["train"].features[config.label_column], "names", None)
    labels = index_labels(columns, names=names)
    splits = {
        key: Samples(images=images[key], indices=np.arange(len(images[key])), labels=labels.of[key]) for key in loaded
    }
    return Source(classes=labels.classes, splits=splits, problems=labels.problems, notes=notes)


def _load(root: Path) -> Any:
    try:
        # Optional, and slow to import.
        import datasets  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("Hugging Face folders need datasets: pip install 'modelyard[train]'") from error
    try:
        return datasets.load_from_disk(str(root))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{root}: datasets cannot load this folder ({error}); it must be one that save_to_disk wrote"
        ) from error


def _splits(loaded: Any, root: Path) -> tuple[Mapping[SplitKey, Any], tuple[str, ...]]:
    if not isinstance(loaded, dict):  # one Dataset
        return {"train": loaded}, ()
    found: dict[SplitKey, Any] = {}
    unused: list[str] = []
    for name, dataset in loaded.items():
        key = SPLIT_ALIASES.get(str(name).lower())
        if key is None or key in found:
            unused.append(str(name))
        else:
            found[key] = dataset
    if "train" not in found:
        raise DataError(f"{root}: has no split named train (it has {', '.join(map(str, loaded))})")
    return found, (f"Splits that are not used: {', '.join(unused)}.",) if unused else ()


def _check_files(root: Path) -> None:
    """Refuse links and file lists that lead ``datasets`` out of the folder. Raises ``DataError``."""
    for state in sorted(root.rglob("state.json")):
        inside(root, state)
        try:
            files = json.loads(state.read_text(encoding="utf-8")).get("_data_files", [])
            names = [str(file["filename"]) for file in files]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(f"{state}: not a state file of datasets ({error!r}); save the data set again") from error
        for name in names:
            inside(root, state.parent / name)
