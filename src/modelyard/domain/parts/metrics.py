"""Configs of the validation and test metrics. Each builder is registered in ``modelyard.tasks.metrics``."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from modelyard.domain.base import Config
from modelyard.domain.parts._short_form import ShortForm


class Accuracy(Config):
    """Share of samples whose most likely class is right (top-1, the same as micro-averaged)."""

    name: Literal["accuracy"] = "accuracy"


class AccuracyMacro(Config):
    """Accuracy of each class, averaged over the classes (balanced accuracy)."""

    name: Literal["accuracy_macro"] = "accuracy_macro"


class TopK(Config):
    """Share of samples whose class is among the k most likely; reported as ``top<k>_accuracy``."""

    name: Literal["top_k"] = "top_k"
    k: Annotated[int, Field(ge=1)] = 5
    """How many classes count; clipped to the number of classes."""


class Precision(Config):
    """Share of the samples given a class that have it."""

    name: Literal["precision_micro", "precision_macro"] = "precision_macro"


class Recall(Config):
    """Share of the samples of a class that were given it."""

    name: Literal["recall_micro", "recall_macro"] = "recall_macro"


class F1(Config):
    """Harmonic mean of precision and recall."""

    name: Literal["f1_micro", "f1_macro"] = "f1_macro"


class Auroc(Config):
    """Area under the ROC curve, one class against the rest, averaged over the classes."""

    name: Literal["auroc"] = "auroc"


class AveragePrecision(Config):
    """Area under the precision-recall curve, averaged over the classes."""

    name: Literal["average_precision"] = "average_precision"


class CohenKappa(Config):
    """Agreement beyond chance (Cohen, 1960)."""

    name: Literal["cohen_kappa"] = "cohen_kappa"


class RecallPerClass(Config):
    """Recall of every class by itself; reported as ``recall/<class>``."""

    name: Literal["recall_per_class"] = "recall_per_class"


class ConfusionMatrix(Config):
    """Counts of true against predicted class; kept as an artifact of the evaluation."""

    name: Literal["confusion_matrix"] = "confusion_matrix"


MetricConfig = Annotated[
    Accuracy
    | AccuracyMacro
    | TopK
    | Precision
    | Recall
    | F1
    | Auroc
    | AveragePrecision
    | CohenKappa
    | RecallPerClass
    | ConfusionMatrix,
    Field(discriminator="name"),
    ShortForm,
]

DEFAULT_METRICS: tuple[MetricConfig, ...] = (Accuracy(), F1())

RECALL_PREFIX = "recall/"
"""Starts the names of ``recall_per_class``; the rest is the class."""


def scalar_name(config: MetricConfig) -> str | None:
    """Return the name of the one number that a metric reports, without ``val_`` or ``test_``; None for the others."""
    if isinstance(config, RecallPerClass | ConfusionMatrix):
        return None
    return f"top{config.k}_accuracy" if isinstance(config, TopK) else config.name


def reported_names(configs: Sequence[MetricConfig]) -> tuple[str, ...]:
    """Return the names of all numbers that an evaluation reports, without ``val_`` or ``test_``.

    The recalls of single classes are not among them: their names depend on the data.
    """
    names = ("loss", *(scalar_name(config) for config in configs))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def is_reported(metric: str, configs: Sequence[MetricConfig]) -> bool:
    """Whether ``metric`` (with its ``val_``) is reported, as far as that can be told without the data."""
    split, _, name = metric.partition("_")
    if split != "val":
        return False
    per_class = name.startswith(RECALL_PREFIX) and any(isinstance(config, RecallPerClass) for config in configs)
    return per_class or name in reported_names(configs)


_ERRORS = frozenset(
    {"loss", "error", "err", "mae", "mse", "rmse", "rmsle", "mape", "smape", "nll", "perplexity", "ppl", "wer", "cer"}
    | {"ter", "bpb", "bpc", "brier", "ece", "fid", "kl", "divergence", "distance", "deviation", "regret"}
)
"""Words in the names of metrics of which less is better."""


def better_mode(metric: str) -> Literal["min", "max"]:
    """Return whether less or more of ``metric`` (``val_loss``, ``val_accuracy``) is better, as far as its name tells.

    Less is, where a word of the name means an error: ``val_loss``, ``val_pixel_mae``, ``test_perplexity``. Of every
    other name more is; where that is wrong, a ``mode`` in the config says so.
    """
    return "min" if _ERRORS & set(re.split(r"[^a-z0-9]+|(?<=[a-z])(?=[0-9])", metric.lower())) else "max"
