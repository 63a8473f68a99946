"""How long, how exactly and how safely a run trains."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from modelyard.domain.base import Config

Mode = Literal["min", "max"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""Bounded, so that no product of two of them and a data set's size leaves 64 bits."""


class Ema(Config):
    """An exponential moving average of the weights; evaluation and the best checkpoint use it."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    """Share of the average that is kept at each step."""


class EarlyStopping(Config):
    """End the run when a validation metric has not improved for a number of evaluations."""

    metric: str = "val_loss"
    """A validation metric, such as ``val_loss`` or ``val_accuracy``."""
    mode: Mode | None = None
    """``min`` or ``max``; by default what the metric calls better."""
    patience: Count = 3
    """Evaluations without improvement before the run ends."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """An improvement smaller than this does not count."""

    @model_validator(mode="after")
    def _validation_only(self) -> Self:
        if not self.metric.startswith("val_"):
            raise ValueError(
                f"early stopping watches validation metrics only; {self.metric!r} does not start with 'val_'"
            )
        return self


class CheckpointConfig(Config):
    """When checkpoints are saved, which is the best, and how many are kept."""

    every_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Longest time between two checkpoints; what is lost with a process is at most that much."""
    every_steps: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Also save after every so many optimizer steps."""
    keep: Count = 2
    """How many of the newest checkpoints to keep; the best one is kept besides."""
    metric: str = "val_loss"
    """The validation metric that picks the best checkpoint."""
    mode: Mode | None = None
    """``min`` or ``max``; by default what the metric calls better."""


class TrainingConfig(Config):
    """How long, how exactly and how safely a run trains."""

    epochs: Count = 5
    """Passes over the training data."""
    batch_size: Count = 64
    """Samples in one micro-batch."""
    accumulate: Count = 1
    """Micro-batches whose gradients are averaged into one optimizer step."""
    eval_batch_size: Count = 256
    """Samples in one evaluation batch."""
    evaluate_every: Count = 1
    """Epochs between two evaluations on the validation data; the last epoch is always evaluated."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Scale gradients down to this global norm."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic inside autocast; fp16 uses a gradient scaler."""
    ema: Ema | None = None
    """Average the weights over time."""
    early_stopping: EarlyStopping | None = None
    """End early when nothing improves."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """When to save and what to keep."""
    log_every: Annotated[int, Field(ge=1, le=1_000_000_000)] = 10
    """Optimizer steps between two points of the training metrics; each is the mean over them."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; ``auto`` takes the best that is there."""
    compile: Literal["auto", "always", "never"] = "auto"
    """``torch.compile`` for the steps: ``auto`` where ``modelyard plan`` measured on this machine that it pays."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads for the arithmetic of this run; other numbers may round differently."""
    deterministic: bool = True
    """Refuse operations that do not repeat bit for bit."""
    max_retries: Annotated[int, Field(ge=0, le=1_000_000)] = 3
    """How often in a row the run may lose its process without progress before it is failed."""

    @model_serializer(mode="wrap")
    def _leave_out_what_came_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave ``compile`` out where it is the default: the hashes of configs that were there before stay."""
        dumped: dict[str, Any] = handler(self)
        if dumped.get("compile") == "auto":
            del dumped["compile"]
        return dumped
