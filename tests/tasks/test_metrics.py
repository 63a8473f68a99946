import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from modelyard.domain.parts.metrics import (
    F1,
    Accuracy,
    AccuracyMacro,
    Auroc,
    AveragePrecision,
    CohenKappa,
    ConfusionMatrix,
    MetricConfig,
    Precision,
    Recall,
    RecallPerClass,
    TopK,
    reported_names,
)
from modelyard.tasks.metrics import METRICS, build_metrics, classification

CLASSES = ("ant", "bee", "cat")
# Predicted 0 0 1 1 2 0 for true 0 0 0 1 1 2: the confusion matrix is [[2, 1, 0], [0, 1, 1], [1, 0, 0]].
TARGETS = torch.tensor([0, 0, 0, 1, 1, 2])
LOGITS = torch.tensor(
    [[3.0, 2, 1], [3, 1, 2], [2, 3, 1], [1, 3, 2], [1, 2, 3], [3, 1, 2]],
)
RECALLS = (2 / 3, 1 / 2, 0.0)
PRECISIONS = (2 / 3, 1 / 2, 0.0)


def computed(config: MetricConfig, logits: Tensor = LOGITS, targets: Tensor = TARGETS) -> dict[str, float]:
    metrics = build_metrics((config,), classes=CLASSES)
    # In two batches: the whole evaluation counts, not a mean over batches.
    metrics.update(logits[:4], targets[:4])
    metrics.update(logits[4:], targets[4:])
    return metrics.compute()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Accuracy(), {"accuracy": 3 / 6}),
        (AccuracyMacro(), {"accuracy_macro": sum(RECALLS) / 3}),
        (TopK(k=1), {"top1_accuracy": 3 / 6}),
        (TopK(k=2), {"top2_accuracy": 6 / 6}),
        (Precision(), {"precision_macro": sum(PRECISIONS) / 3}),
        (Precision(name="precision_micro"), {"precision_micro": 3 / 6}),
        (Recall(), {"recall_macro": sum(RECALLS) / 3}),
        (Recall(name="recall_micro"), {"recall_micro": 3 / 6}),
        (F1(), {"f1_macro": (2 / 3 + 1 / 2 + 0) / 3}),
        (F1(name="f1_micro"), {"f1_micro": 3 / 6}),
        # Expected agreement: (3 * 3 + 2 * 2 + 1 * 1) / 36.
        (CohenKappa(), {"cohen_kappa": (3 / 6 - 14 / 36) / (1 - 14 / 36)}),
        (RecallPerClass(), {"recall/ant": 2 / 3, "recall/bee": 1 / 2, "recall/cat": 0.0}),
        (ConfusionMatrix(), {}),
    ],
)
def test_against_values_worked_out_by_hand(config: MetricConfig, expected: dict[str, float]) -> None:
    assert computed(config) == pytest.approx(expected)


TORCHMETRICS = {
    "accuracy": ("multiclass_accuracy", {"average": "micro"}),
    "accuracy_macro": ("multiclass_accuracy", {"average": "macro"}),
    "precision_macro": ("multiclass_precision", {"average": "macro"}),
    "recall_macro": ("multiclass_recall", {"average": "macro"}),
    "f1_macro": ("multiclass_f1_score", {"average": "macro"}),
    "f1_micro": ("multiclass_f1_score", {"average": "micro"}),
    "cohen_kappa": ("multiclass_cohen_kappa", {}),
}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_what_follows_from_counts_is_what_torchmetrics_says(pairs: list[tuple[int, int]]) -> None:
    targets, predicted = (torch.tensor(column) for column in zip(*pairs, strict=True))
    metrics = build_metrics(
        (Accuracy(), AccuracyMacro(), Precision(), Recall(), F1(), F1(name="f1_micro"), CohenKappa()),
        classes=("ant", "bee", "cat", "dog"),
    )
    metrics.update(functional.one_hot(predicted, 4).float(), targets)
    expected = {
        name: getattr(classification, function)(predicted, targets, 4, **options).item()
        for name, (function, options) in TORCHMETRICS.items()
    }
    assert metrics.compute() == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_auroc_and_average_precision_by_hand() -> None:
    # Scores of class 0: positives 0.9 and 0.6, negatives 0.7 and 0.2; class 1 is the mirror image; class 2 is absent.
    first = torch.tensor([0.9, 0.6, 0.7, 0.2])
    logits = torch.stack((first.log(), (1 - first).log(), torch.full((4,), -80.0)), dim=1)
    targets = torch.tensor([0, 0, 1, 1])
    assert computed(Auroc(), logits, targets) == pytest.approx({"auroc": 3 / 4})
    precision = (1 + 2 / 3) / 2
    assert computed(AveragePrecision(), logits, targets) == pytest.approx({"average_precision": precision})


def test_one_class_alone_has_no_ranking() -> None:
    targets = torch.zeros(6, dtype=torch.int64)
    assert math.isnan(computed(Auroc(), targets=targets)["auroc"])


def test_a_class_without_samples_has_no_recall_but_is_reported() -> None:
    targets = torch.tensor([0, 0, 0, 0, 2, 2])
    recalls = computed(RecallPerClass(), targets=targets)
    expected = {"recall/ant": 2 / 4, "recall/bee": math.nan, "recall/cat": 1 / 2}
    assert recalls == pytest.approx(expected, nan_ok=True)


def test_top_k_is_clipped_to_the_classes_and_keeps_its_name() -> None:
    assert computed(TopK(k=5)) == {"top5_accuracy": 1.0}


def test_confusion_matrix_is_an_artifact() -> None:
    metrics = build_metrics((Accuracy(), ConfusionMatrix()), classes=CLASSES)
    metrics.update(LOGITS, TARGETS)
    assert metrics.artifacts() == {
        "confusion_matrix": {"classes": list(CLASSES), "counts": [[2, 1, 0], [0, 1, 1], [1, 0, 0]]}
    }


def test_reset_forgets() -> None:
    metrics = build_metrics((Accuracy(),), classes=CLASSES)
    metrics.update(LOGITS, (LOGITS.argmax(1) + 1) % 3)
    assert metrics.compute() == {"accuracy": 0.0}
    metrics.reset()
    metrics.update(LOGITS, LOGITS.argmax(1))
    assert metrics.compute() == {"accuracy": 1.0}


def test_more_batches_after_a_result_count_too() -> None:
    metrics = build_metrics((Accuracy(),), classes=CLASSES)
    metrics.update(LOGITS, LOGITS.argmax(1))
    assert metrics.compute() == {"accuracy": 1.0}
    metrics.update(LOGITS, (LOGITS.argmax(1) + 1) % 3)
    assert metrics.compute() == {"accuracy": 0.5}


def test_what_is_reported_is_what_the_domain_says() -> None:
    names = [
        name
        for config in METRICS.entries()
        for name in ({"name": value} for value in _choices(config))
        for name in computed(config(**name))
        if not name.startswith("recall/")
    ]
    every = tuple(config(name=value) for config in METRICS.entries() for value in _choices(config))
    assert set(names) | {"loss"} == set(reported_names(every))


def _choices(config: type[MetricConfig]) -> tuple[str, ...]:
    from typing import get_args

    return get_args(config.model_fields["name"].annotation)
