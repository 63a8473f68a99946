"""RunSpec: everything that decides one run. SweepSpec: a base run, a search space, and how to search it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from modelyard.domain.base import Config, content_hash
from modelyard.domain.parts.augmentations import AugmentConfig
from modelyard.domain.parts.data import DataConfig, Digits
from modelyard.domain.parts.losses import CrossEntropy, LossConfig
from modelyard.domain.parts.metrics import DEFAULT_METRICS, MetricConfig, is_reported, reported_names
from modelyard.domain.parts.models import Mlp, ModelConfig
from modelyard.domain.parts.optimizers import AdamW, OptimizerConfig
from modelyard.domain.parts.schedules import Constant, ScheduleConfig
from modelyard.domain.parts.training import CheckpointConfig, EarlyStopping, TrainingConfig
from modelyard.domain.parts.usercode import Custom, TrainerFunction, UserCode
from modelyard.domain.search import SearchConfig
from modelyard.domain.search_checks import check_search
from modelyard.domain.validation import nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
Task = Literal["image-classification", "custom", "hf-trainer"]

_USER_CODE: Mapping[Task, str] = {"custom": "custom", "hf-trainer": "trainer"}
"""Tasks that are code of the user's own, and the field of each."""
_IMAGE_PARTS = ("data", "model", "loss", "augment", "metrics")
"""Fields of image classification alone; code of the user's own decides all of that by itself."""
_OF_THE_TRAINER = (
    "optimizer",
    "schedule",
    "data_seed",
    *(
        f"training.{name}"
        for name in (
            *("epochs", "batch_size", "accumulate", "eval_batch_size", "evaluate_every"),
            *("clip_norm", "precision", "ema", "compile"),
        )
    ),
)
"""Fields that a ``transformers.Trainer`` has in its own arguments."""


def unused_fields(task: Task) -> tuple[str, ...]:
    """Return the fields of a run (dotted) that a task's own code decides, so that they must stay as they are."""
    return {"image-classification": (), "custom": _IMAGE_PARTS, "hf-trainer": (*_IMAGE_PARTS, *_OF_THE_TRAINER)}[task]


class RunSpec(Config):
    """One configuration: equal specs on the same device end with bit-identical weights."""

    task: Task = "image-classification"
    """What is trained."""
    custom: Custom | None = None
    """Your own class; for the task ``custom``, which takes data, model, loss and metrics from it."""
    trainer: TrainerFunction | None = None
    """Your own function that returns a ``transformers.Trainer``; for the task ``hf-trainer``, which runs its loop."""
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
    def _parts_belong_to_the_task(self) -> Self:
        for task, name in _USER_CODE.items():
            if (getattr(self, name) is not None) != (self.task == task):
                raise ValueError(
                    f"{name}: this is missing; the task {task!r} needs it"
                    if self.task == task
                    else f"{name}: no effect with the task {self.task!r}; remove it, or set task: {task}"
                )
        for path in unused_fields(self.task):
            if _field(self, path) != _default(path):
                raise ValueError(f"{path}: no effect with the task {self.task!r}, whose code decides it; remove it")
        return self

    @model_validator(mode="after")
    def _watched_metrics_are_measured(self) -> Self:
        watched: dict[str, CheckpointConfig | EarlyStopping] = {"training.checkpoint": self.training.checkpoint}
        if self.training.early_stopping is not None:
            watched["training.early_stopping"] = self.training.early_stopping
        for field, watch in watched.items():
            metric = watch.metric
            if self.user_code is not None:
                _check_mode(field, metric, watch.mode)
            elif not is_reported(metric, self.metrics):
                known = [f"val_{name}" for name in reported_names(self.metrics)]
                raise ValueError(
                    f"{field}.metric: {metric!r} is not a validation metric of this run{nearest(metric, known)}; "
                    "add it to metrics, or watch another"
                )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_what_has_no_effect(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the parts of other tasks: they decide nothing, so they do not count for the hash either."""
        dumped: dict[str, Any] = handler(self)
        unused = {*_USER_CODE.values(), *unused_fields(self.task)} - {_USER_CODE.get(self.task)}
        return {name: value for name, value in dumped.items() if name not in unused}

    @property
    def user_code(self) -> UserCode | None:
        """The user's own code that is trained, if that is the task."""
        return self.custom or self.trainer

    @property
    def code_field(self) -> str:
        """The field that has it: ``custom`` or ``trainer``."""
        return _USER_CODE[self.task]

    @property
    def hash(self) -> str:
        """Content hash: SHA-256 (hex) of the canonical JSON."""
        return content_hash(self)


def _field(spec: RunSpec, path: str) -> Any:
    value: Any = spec
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _default(path: str) -> Any:
    first, *rest = path.split(".")
    value = RunSpec.model_fields[first].default
    for name in rest:
        value = getattr(value, name)
    return value


def _check_mode(field: str, metric: str, mode: str | None) -> None:
    """Raise ``ValueError`` for a metric of the user's own of which nobody said whether less or more is better."""
    if not metric.startswith("val_"):
        raise ValueError(f"{field}.metric: {metric!r} is not a validation metric; it must start with 'val_'")
    if metric != "val_loss" and mode is None:
        raise ValueError(f"{field}.mode: say whether min or max of your own metric {metric!r} is better")


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
        own = self.run.user_code is not None
        check_search(
            self.search,
            metrics=None if own else self.run.metrics,
            epochs=None if self.run.task == "hf-trainer" else self.run.training.epochs,
        )
        return self

    @property
    def hash(self) -> str:
        """Content hash: SHA-256 (hex) of the canonical JSON."""
        return content_hash(self)
