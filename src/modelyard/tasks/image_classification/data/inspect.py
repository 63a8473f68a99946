"""Looks at every image of a data set before training does, and says what a person should know."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modelyard.domain.errors import ConfigError, DataError
from modelyard.domain.parts.data import DataConfig
from modelyard.tasks.image_classification.data.advice import advise
from modelyard.tasks.image_classification.data.defaults import choose_preprocessing
from modelyard.tasks.image_classification.data.duplicates import find_duplicates
from modelyard.tasks.image_classification.data.fingerprint import fingerprint
from modelyard.tasks.image_classification.data.image_data import choose_samples, find_problems, open_splits
from modelyard.tasks.image_classification.data.measure import Measured, Progress, measure_all
from modelyard.tasks.image_classification.data.readers import read_source
from modelyard.tasks.image_classification.data.report import CorruptImage, DatasetReport, SplitReport, Spread
from modelyard.tasks.image_classification.data.source import SPLITS, Samples, Source, SplitKey
from modelyard.tasks.preprocessing import Preprocessing

_NAMED = 5


@dataclass
class _Opened:
    """As much of a data set as could be opened."""

    samples: Mapping[SplitKey, Samples]
    preprocessing: Preprocessing | None = None
    fingerprint: str | None = None
    errors: list[str] = field(default_factory=list)


def inspect(config: DataConfig, *, folder: Path | None = None, progress: Progress | None = None) -> DatasetReport:
    """Decode every image and report counts, sizes, duplicates and damage, with splits as training would draw them.

    ``progress(done, total)`` counts images. What would stop training is listed in ``errors``; only data that cannot be
    read at all (no such folder, a damaged file, a wrong column) raises ``DataError`` here.
    """
    source = read_source(config, folder)
    opened = _open(source, config)
    measured = measure_all(opened.samples, progress)
    corrupt = [image for image in measured if image.reason]
    readable = [image for image in measured if not image.reason]
    if corrupt:
        opened.errors.append(_unreadable(corrupt))
    report = DatasetReport(
        source=config.source,
        path=getattr(config, "path", None),
        classes=list(source.classes),
        splits={key: _count(key, source, samples) for key, samples in opened.samples.items()},
        width=_spread([image.width for image in readable]),
        height=_spread([image.height for image in readable]),
        modes=dict(Counter(image.mode for image in readable).most_common()),
        duplicates=find_duplicates(measured, source.classes),
        corrupt=[CorruptImage(name=image.name, reason=image.reason) for image in corrupt],
        ignored={kind: count for kind, count in source.ignored.items() if count},
        imbalance=None,
        empty_classes={},
        preprocessing=opened.preprocessing.to_json() if opened.preprocessing else None,
        fingerprint=opened.fingerprint,
        errors=opened.errors,
        warnings=[],
        notes=[*source.notes, *_ignored_fractions(source, config)],
    )
    return _with_conclusions(report)


def _open(source: Source, config: DataConfig) -> _Opened:
    """Follow ``open_data``, but go on with the splits of the source itself where it would stop."""
    unsplit = {key: source.splits[key] for key in SPLITS if key in source.splits}
    problems = find_problems(source)
    if problems:
        return _Opened(unsplit, errors=list(problems))
    opened = _Opened(unsplit)
    try:
        opened.samples = choose_samples(source, config)
        opened.preprocessing = choose_preprocessing(config, source, None)
        splits = open_splits(opened.samples, opened.preprocessing, classes=len(source.classes))
        opened.fingerprint = fingerprint(source.classes, splits)
    except (DataError, ConfigError) as error:
        opened.errors.append(str(error))
    return opened


def _count(key: SplitKey, source: Source, samples: Samples) -> SplitReport:
    counts = np.bincount(samples.labels[samples.labels >= 0], minlength=len(source.classes)).tolist()
    return SplitReport(
        count=len(samples), per_class=dict(zip(source.classes, counts, strict=True)), drawn=key not in source.splits
    )


def _spread(values: Sequence[int]) -> Spread | None:
    if not values:
        return None
    return Spread(min=min(values), median=statistics.median(values), max=max(values))


def _unreadable(corrupt: Sequence[Measured]) -> str:
    names = ", ".join(image.name for image in corrupt[:_NAMED])
    more = f" and {len(corrupt) - _NAMED} more" if len(corrupt) > _NAMED else ""
    return f"{len(corrupt)} image(s) cannot be decoded ({names}{more}); replace or remove them"


def _ignored_fractions(source: Source, config: DataConfig) -> list[str]:
    return [
        f"The source has its own {key} split, so {key}_fraction is ignored."
        for key in ("val", "test")
        if key in source.splits and getattr(config, f"{key}_fraction") > 0
    ]


def _with_conclusions(report: DatasetReport) -> DatasetReport:
    train = [count for count in report.splits["train"].per_class.values() if count]
    concluded = report.model_copy(
        update={
            "imbalance": round(max(train) / min(train), 3) if train else None,
            "empty_classes": {
                key: [name for name, count in split.per_class.items() if not count]
                for key, split in report.splits.items()
                if split.count and 0 in split.per_class.values()
            },
        }
    )
    return concluded.model_copy(update={"warnings": advise(concluded)})
