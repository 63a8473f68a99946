"""Confusion matrices that a run has kept, and what they say of each class."""

from collections.abc import Sequence
from typing import Any

from modelyard.api.artifacts import read_artifact
from modelyard.api.report.model import ClassFigures, Confusion
from modelyard.domain.errors import CorruptBlobError, NotFoundError
from modelyard.store import Store

_NAME = "confusion_matrix"
_MOST_CLASSES = 1000


def read_confusions(store: Store, run_id: str) -> tuple[Confusion, ...]:
    """Return the confusion matrices of a run, test before validation; one that cannot be read is left out."""
    names = [name for name in store.artifacts.list(run_id) if name.split("/")[-1] == _NAME]
    found = [read_confusion(store, run_id, name) for name in sorted(names)]
    return tuple(confusion for confusion in found if confusion is not None)


def read_confusion(store: Store, run_id: str, name: str, *, step: int | None = None) -> Confusion | None:
    """Return one confusion matrix, the newest unless a step is named; None if it is none, is gone or is damaged."""
    try:
        artifact = read_artifact(store, run_id, name, step=step)
    except (
        NotFoundError,
        CorruptBlobError,
        ValueError,
    ):  # replaced meanwhile, or damaged: the page says that none is there
        return None
    parsed = _parsed(artifact.content)
    if parsed is None:
        return None
    classes, counts = parsed
    return Confusion(artifact=name, step=artifact.step, classes=_figures(classes, counts), counts=counts)


def _parsed(content: Any) -> tuple[list[str], tuple[tuple[int, ...], ...]] | None:
    """Return classes and counts if this is what the metric ``confusion_matrix`` writes."""
    if not isinstance(content, dict):
        return None
    classes, counts = content.get("classes"), content.get("counts")
    if not isinstance(classes, list) or not isinstance(counts, list) or not 0 < len(classes) <= _MOST_CLASSES:
        return None
    rows = [row for row in counts if isinstance(row, list) and len(row) == len(classes)]
    if len(rows) != len(classes) or len(counts) != len(classes):
        return None
    if not all(isinstance(count, int) and count >= 0 for row in rows for count in row):
        return None
    return [str(name) for name in classes], tuple(tuple(row) for row in rows)


def _figures(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> tuple[ClassFigures, ...]:
    predicted = [sum(row[index] for row in counts) for index in range(len(classes))]
    figures = []
    for index, name in enumerate(classes):
        right, support = counts[index][index], sum(counts[index])
        recall = right / support if support else None
        precision = right / predicted[index] if predicted[index] else None
        f1 = 2 * right / (support + predicted[index]) if support + predicted[index] else None
        figures.append(ClassFigures(name=name, support=support, recall=recall, precision=precision, f1=f1))
    return tuple(figures)
