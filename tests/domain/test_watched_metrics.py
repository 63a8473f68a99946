"""Early stopping and the best checkpoint can only watch what is measured."""

from typing import Any

import pytest

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.metrics import Accuracy, ConfusionMatrix, RecallPerClass, TopK, better_mode, reported_names
from modelyard.domain.validation import validate


def test_reported_names() -> None:
    metrics = (TopK(k=3), Accuracy(), Accuracy(), RecallPerClass(), ConfusionMatrix())
    assert reported_names(metrics) == ("loss", "top3_accuracy", "accuracy")


@pytest.mark.parametrize("field", ["early_stopping", "checkpoint"])
@pytest.mark.parametrize("metric", ["val_loss", "val_top3_accuracy", "val_recall/cat"])
def test_measured_metrics_can_be_watched(field: str, metric: str) -> None:
    metrics = [{"name": "top_k", "k": 3}, "recall_per_class"]
    spec = validate(RunSpec, {"metrics": metrics, "training": {field: {"metric": metric}}})
    assert getattr(spec.training, field).metric == metric


@pytest.mark.parametrize("field", ["early_stopping", "checkpoint"])
@pytest.mark.parametrize(
    ("metric", "offered"),
    [("val_acuracy", "val_accuracy"), ("val_f1", "val_f1_macro"), ("val_recall/cat", "")],
)
def test_unmeasured_metrics_are_refused_with_the_nearest_name(field: str, metric: str, offered: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(RunSpec, {"training": {field: {"metric": metric}}})
    message = str(caught.value)
    assert f"training.{field}.metric: {metric!r} is not a validation metric of this run" in message
    assert f"did you mean {offered!r}" in message if offered else "known: val_loss, val_accuracy" in message


@pytest.mark.parametrize("metric", ["train_loss", "accuracy", "test_accuracy", "loss"])
def test_only_validation_metrics_pick_the_best_checkpoint(metric: str) -> None:
    config: dict[str, Any] = {"training": {"checkpoint": {"metric": metric}}}
    with pytest.raises(ConfigError, match=r"training\.checkpoint\.metric"):
        validate(RunSpec, config)


@pytest.mark.parametrize(
    ("mode", "metrics"),
    [
        ("min", ["val_loss", "train_loss", "val_mae", "test_pixel_mae", "val_RMSE", "val_nll/cat", "val_perplexity"]),
        ("max", ["val_accuracy", "val_f1_macro", "val_top5_accuracy", "val_r2", "val_glossary", "val_terror"]),
    ],
)
def test_a_name_says_whether_less_is_better(mode: str, metrics: list[str]) -> None:
    assert {metric: better_mode(metric) for metric in metrics} == dict.fromkeys(metrics, mode)


def test_a_metric_that_is_not_measured_is_told_at_its_own_line() -> None:
    run = {"training": {"early_stopping": {"metric": "val_foo"}}}
    lines = {("run",): 2, ("run", "training"): 3, ("run", "training", "early_stopping", "metric"): 5}
    with pytest.raises(ConfigError, match=r"^sweep.yaml:5: run: training.early_stopping.metric: 'val_foo' is not"):
        validate(SweepSpec, {"run": run}, source="sweep.yaml", lines=lines)


def test_an_optimizer_without_a_name_is_the_default_one() -> None:
    spec = validate(RunSpec, {"optimizer": {"learning_rate": 0.1}})
    assert spec == validate(RunSpec, {"optimizer": {"name": "adamw", "learning_rate": 0.1}})
    with pytest.raises(ConfigError, match=r"^optimizer.momentum: unknown key"):
        validate(RunSpec, {"optimizer": {"momentum": 0.9}})
