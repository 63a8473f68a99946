"""Metrics of one evaluation. A batch only adds to lists on the device; everything is worked out once, at the end.

What depends on the predicted labels follows from one table of counts. Ranking metrics are torchmetrics': its import
takes seconds, so that only runs which ask for one of them pay for it.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from modelyard.domain.parts.metrics import (
    F1,
    RECALL_PREFIX,
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
    scalar_name,
)
from modelyard.tasks.lazy import LazyModule
from modelyard.tasks.registry import Registry

classification = LazyModule("torchmetrics.functional.classification")


@dataclass(frozen=True)
class Predictions:
    """What a whole evaluation gave, N samples long, on the host."""

    classes: Sequence[str]
    targets: Tensor
    """int64 [N]."""
    ranked: Tensor
    """int64 [N, K]: the most likely classes, best first; K is what the metrics need."""
    probabilities: Tensor | None
    """float [N, C]; only kept for the metrics that need it."""

    @property
    def top(self) -> Tensor:
        """The most likely class, int64 [N]."""
        return self.ranked[:, 0]

    @cached_property
    def hits(self) -> "Hits":
        """How many samples each class has, how many were taken for it, and how many of those rightly."""
        right = self.targets[self.targets == self.top]
        return Hits(
            *(torch.bincount(labels, minlength=len(self.classes)) for labels in (right, self.top, self.targets))
        )


@dataclass(frozen=True)
class Hits:
    """Counts of each class, int64 [C]."""

    right: Tensor
    predicted: Tensor
    actual: Tensor

    @property
    def accuracy(self) -> float:
        """The share that was predicted rightly; over all samples, precision, recall and F1 are the same."""
        return (self.right.sum() / self.actual.sum()).item()

    def mean(self, hits: Tensor, possible: Tensor) -> float:
        """Return the mean of ``hits / possible`` over the classes that occur, in the data or as a prediction."""
        occurs = self.predicted + self.actual > 0
        return (hits / possible.clamp(min=1))[occurs].double().mean().item()


@dataclass(frozen=True)
class Metric:
    """How a metric is worked out, and what it needs for it."""

    compute: Callable[[Predictions], dict[str, float]] | None = None
    """Numbers by name."""
    artifact: Callable[[Predictions], dict[str, Any]] | None = None
    """JSON by name."""
    ranks: int = 1
    """How many of the most likely classes."""
    probabilities: bool = False
    """Whether it reads the probabilities, by torchmetrics."""


METRICS: Registry[MetricConfig, Metric] = Registry("metric")


def build_metrics(configs: Sequence[MetricConfig], *, classes: Sequence[str]) -> "MetricSet":
    """Build the metrics of one evaluation; ``classes`` are the names in label order."""
    metrics = [METRICS.build(config) for config in configs]
    if any(metric.probabilities for metric in metrics):
        classification.load()
    return MetricSet(metrics, classes)


class MetricSet:
    """Collects predictions and works the metrics out."""

    def __init__(self, metrics: Sequence[Metric], classes: Sequence[str]) -> None:
        self._metrics = metrics
        self._classes = classes
        self._ranks = min(max((metric.ranks for metric in metrics), default=1), len(classes))
        self._keep_probabilities = any(metric.probabilities for metric in metrics)
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        self._targets: list[Tensor] = []
        self._ranked: list[Tensor] = []
        self._probabilities: list[Tensor] = []
        self._predictions: Predictions | None = None

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: logits [B, C], targets int64 [B]."""
        self._predictions = None
        self._targets.append(targets)
        if self._ranks == 1:
            self._ranked.append(logits.argmax(dim=1, keepdim=True))
        else:
            self._ranked.append(logits.topk(self._ranks, dim=1).indices)
        if self._keep_probabilities:
            self._probabilities.append(logits.detach().float().softmax(dim=1))

    def compute(self) -> dict[str, float]:
        """Return every number by its name, without ``val_`` or ``test_``. NaN where the data define no value."""
        return self._gather(metric.compute for metric in self._metrics)

    def artifacts(self) -> dict[str, Any]:
        """Return every artifact as JSON by its name."""
        return self._gather(metric.artifact for metric in self._metrics)

    def _gather(self, functions: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for function in functions:
            if function is not None:
                values.update(function(self._collected()))
        return values

    def _collected(self) -> Predictions:
        if self._predictions is None:
            assert self._targets, "update() was never called"
            self._predictions = Predictions(
                classes=self._classes,
                targets=torch.cat(self._targets).cpu(),
                ranked=torch.cat(self._ranked).cpu(),
                probabilities=torch.cat(self._probabilities).cpu() if self._probabilities else None,
            )
        return self._predictions


def _counted(config: MetricConfig, compute: Callable[[Hits], float]) -> Metric:
    """Build a metric that follows from the counts; one whose name ends in ``micro`` is the accuracy."""
    name = scalar_name(config)
    assert name is not None
    over_all = name.endswith("_micro")
    return Metric(lambda found: {name: found.hits.accuracy if over_all else compute(found.hits)})


@METRICS.register(Accuracy)
def _accuracy(config: Accuracy) -> Metric:
    return _counted(config, lambda hits: hits.accuracy)


@METRICS.register(AccuracyMacro)
@METRICS.register(Recall)
def _recall(config: AccuracyMacro | Recall) -> Metric:
    return _counted(config, lambda hits: hits.mean(hits.right, hits.actual))


@METRICS.register(Precision)
def _precision(config: Precision) -> Metric:
    return _counted(config, lambda hits: hits.mean(hits.right, hits.predicted))


@METRICS.register(F1)
def _f1(config: F1) -> Metric:
    return _counted(config, lambda hits: hits.mean(2 * hits.right, hits.predicted + hits.actual))


@METRICS.register(CohenKappa)
def _cohen_kappa(config: CohenKappa) -> Metric:
    def compute(hits: Hits) -> float:
        by_chance = (hits.predicted @ hits.actual).item() / hits.actual.sum().item() ** 2
        return math.nan if by_chance == 1 else (hits.accuracy - by_chance) / (1 - by_chance)

    return _counted(config, compute)


@METRICS.register(TopK)
def _top_k(config: TopK) -> Metric:
    def compute(found: Predictions) -> dict[str, float]:
        hits = (found.ranked[:, : config.k] == found.targets.unsqueeze(1)).any(dim=1)
        return {f"top{config.k}_accuracy": hits.double().mean().item()}

    return Metric(compute, ranks=config.k)


@METRICS.register(Auroc)
def _auroc(config: Auroc) -> Metric:
    return _averaged_over_classes(config, "multiclass_auroc")


@METRICS.register(AveragePrecision)
def _average_precision(config: AveragePrecision) -> Metric:
    return _averaged_over_classes(config, "multiclass_average_precision")


def _averaged_over_classes(config: MetricConfig, function: str) -> Metric:
    """Build a metric of the probabilities; a class that no sample or every sample has is left out of the mean."""

    def compute(found: Predictions) -> dict[str, float]:
        counts = torch.bincount(found.targets, minlength=len(found.classes))
        defined = (counts > 0) & (counts < len(found.targets))
        with warnings.catch_warnings():
            # torchmetrics warns of exactly the classes that are left out here.
            warnings.simplefilter("ignore", UserWarning)
            values = getattr(classification, function)(
                found.probabilities, found.targets, len(found.classes), average="none", validate_args=False
            )
        return {config.name: values[defined].mean().item()}

    return Metric(compute, probabilities=True)


@METRICS.register(RecallPerClass)
def _recall_per_class(_: RecallPerClass) -> Metric:
    def compute(found: Predictions) -> dict[str, float]:
        values = (found.hits.right / found.hits.actual).tolist()  # NaN for a class without samples
        return {f"{RECALL_PREFIX}{name}": value for name, value in zip(found.classes, values, strict=True)}

    return Metric(compute)


@METRICS.register(ConfusionMatrix)
def _confusion_matrix(_: ConfusionMatrix) -> Metric:
    def artifact(found: Predictions) -> dict[str, Any]:
        number = len(found.classes)
        counts = torch.bincount(found.targets * number + found.top, minlength=number**2).view(number, number)
        return {"confusion_matrix": {"classes": list(found.classes), "counts": counts.tolist()}}

    return Metric(artifact=artifact)
