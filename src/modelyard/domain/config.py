"""RunSpec: everything that decides one run. SweepSpec: a base run, a search space, and how to search it."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from modelyard.domain.base import Config, content_hash
from modelyard.domain.parts.augmentations import AugmentConfig
from modelyard.domain.parts.data import DataConfig, Digits
from modelyard.domain.parts.losses import CrossEntropy, LossConfig
from modelyard.domain.parts.metrics import DEFAULT_METRICS, MetricConfig, is_reported, reported_names
from modelyard.domain.parts.models import Mlp, ModelConfig
from modelyard.domain.parts.optimizers import AdamW, OptimizerConfig
from modelyard.domain.parts.schedules import Constant, ScheduleConfig
from modelyard.domain.parts.training import TrainingConfig
from modelyard.domain.search import SearchConfig
from modelyard.domain.search_checks import check_search
from modelyard.domain.validation import nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class RunSpec(Config):
    """One configuration: equal specs on the same device end with bit-identical weights."""

    task: Literal["image-classification"] = "image-classification"
    """What is trained."""
    data: DataConfig = Digits()
    """Where the samples come from and how they are split and sized."""
    model: ModelConfig = Mlp()
    """The network."""
    loss: LossConfig = CrossEntropy()
    """What is minimised."""
    optimizer: OptimizerConfig = AdamW()
    """How the weights are updated; holds the learning rate and the weight decay."""
    schedule: ScheduleConfig = Constant()
    """How the learning rate changes over the run."""
    augment: AugmentConfig = ()
    """Random changes to the training images: a preset's name or a list."""
    metrics: Annotated[tuple[MetricConfig, ...], Field(min_length=1)] = DEFAULT_METRICS
    """What is measured on the validation and test data."""
    training: TrainingConfig = TrainingConfig()
    """Epochs, batch, precision, checkpoints and the like."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seeds the initial weights, dropout and augmentation."""
    data_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seeds the order of the samples; runs with the same value see the same order."""

    @model_validator(mode="after")
    def _watched_metrics_are_measured(self) -> Self:
        watched = {"training.checkpoint.metric": self.training.checkpoint.metric}
        if self.training.early_stopping is not None:
            watched["training.early_stopping.metric"] = self.training.early_stopping.metric
        for field, metric in watched.items():
            if not is_reported(metric, self.metrics):
                known = [f"val_{name}" for name in reported_names(self.metrics)]
                raise ValueError(
                    f"{field}: {metric!r} is not a validation metric of this run{nearest(metric, known)}; "
                    "add it to metrics, or watch another"
                )
        return self

    @property
    def hash(self) -> str:
        """Content hash: SHA-256 (hex) of the canonical JSON."""
        return content_hash(self)


class SweepSpec(Config):
    """What a sweep file holds: a name, a base run, and the search that turns it into many."""

    name: str = "experiment"
    """The experiment's name: lower-case letters, digits, dot, dash and underscore."""
    project: str = "default"
    """The project it belongs to."""
    run: RunSpec = RunSpec()
    """The base configuration; the search changes fields of it."""
    search: SearchConfig = SearchConfig()
    """Which fields to vary, and how."""

    @field_validator("name", "project")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a valid name: use 1 to 64 lower-case letters, digits, '.', '-' or '_', "
                "starting with a letter or digit"
            )
        return value

    @model_validator(mode="after")
    def _search_fits_run(self) -> Self:
        check_search(self.search, self.run.metrics, self.run.training.epochs)
        return self

    @property
    def hash(self) -> str:
        """Content hash: SHA-256 (hex) of the canonical JSON."""
        return content_hash(self)
