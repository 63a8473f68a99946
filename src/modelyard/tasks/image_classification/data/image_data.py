"""An opened data set, and how one is opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import DataConfig
from modelyard.tasks.image_classification.data.defaults import choose_preprocessing
from modelyard.tasks.image_classification.data.fingerprint import fingerprint
from modelyard.tasks.image_classification.data.readers import read_source
from modelyard.tasks.image_classification.data.source import SPLITS, Samples, Source, SplitKey
from modelyard.tasks.image_classification.data.split import Split
from modelyard.tasks.image_classification.data.splits import draw_splits, limit_per_class
from modelyard.tasks.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """Three splits of labelled images. ``val`` and ``test`` have length 0 where there is none."""

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    train: Split
    val: Split
    test: Split

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over classes, labels, names and contents of the three splits; reads every file once.

        Raises ``DataError`` for a file that cannot be read.
        """
        return fingerprint(self.classes, {"train": self.train, "val": self.val, "test": self.test})


def open_data(config: DataConfig, *, defaults: Preprocessing | None = None, folder: Path | None = None) -> ImageData:
    """Open a data set without decoding it: labels are read, splits drawn; contents are hashed when first asked for.

    ``defaults`` is what a pretrained model wants; it applies where the config says nothing. ``folder`` is where a
    relative path starts.

    A split that the source has itself is used as it is, and its fraction in the config is ignored.
    ``max_per_class`` limits train alone, after the splits are drawn.

    Raises ``DataError`` for data that cannot be trained on (all problems at once where several are found), and
    ``ConfigError`` for settings that contradict the data. An image that cannot be decoded is found when it is read;
    ``inspect`` finds all of them.
    """
    source = read_source(config, folder)
    problems = find_problems(source)
    if problems:
        raise DataError("\n".join(problems))
    samples = choose_samples(source, config)
    preprocessing = choose_preprocessing(config, source, defaults)
    splits = open_splits(samples, preprocessing, classes=len(source.classes))
    return ImageData(
        classes=source.classes,
        preprocessing=preprocessing,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
    )


def find_problems(source: Source) -> tuple[str, ...]:
    """Return everything that makes a source unusable, one sentence each."""
    if source.problems:
        return source.problems
    empty = [f"the {key} split has no images" for key, samples in source.splits.items() if not len(samples)]
    if empty:
        return tuple(empty)
    if len(source.classes) < 2:
        return (f"there is only one class ({source.classes[0]!r}); a classifier needs at least two",)
    counts = np.bincount(source.splits["train"].labels, minlength=len(source.classes))
    missing = [source.classes[label] for label in np.flatnonzero(counts == 0)]
    return tuple(_no_images(missing)) if missing else ()


def choose_samples(source: Source, config: DataConfig) -> dict[SplitKey, Samples]:
    """Return the samples of all three splits. Raises ``DataError`` or ``ConfigError`` (see ``draw_splits``)."""
    everything = source.splits["train"]
    positions = draw_splits(
        everything.labels,
        classes=source.classes,
        fractions=drawn_fractions(source, config),
        stratify=config.stratify,
        seed=config.split_seed,
    )
    chosen = {key: everything.take(kept) for key, kept in positions.items()} | {
        key: samples for key, samples in source.splits.items() if key != "train"
    }
    train = chosen["train"]
    kept = limit_per_class(train.labels, classes=source.classes, limit=config.max_per_class, seed=config.split_seed)
    nothing = everything.take(np.empty(0, np.int64))
    return {key: chosen.get(key, nothing) for key in SPLITS} | {"train": train.take(kept)}


def drawn_fractions(source: Source, config: DataConfig) -> Mapping[SplitKey, float]:
    """Return the shares of the training data that are drawn: those of the splits that the source lacks."""
    shares: dict[SplitKey, float] = {"val": config.val_fraction, "test": config.test_fraction}
    return {key: share for key, share in shares.items() if key not in source.splits}


def open_splits(
    samples: Mapping[SplitKey, Samples], preprocessing: Preprocessing, *, classes: int
) -> dict[SplitKey, Split]:
    """Return one ``Split`` for each of train, val and test."""
    return {key: Split(chosen, preprocessing=preprocessing, classes=classes) for key, chosen in samples.items()}


def _no_images(missing: Sequence[str]) -> list[str]:
    shown = [f"class {name!r} has no training images; add some or remove the class" for name in missing[:10]]
    return [*shown, f"{len(missing) - 10} more classes have none"] if len(missing) > 10 else shown
