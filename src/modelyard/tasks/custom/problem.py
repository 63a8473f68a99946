"""One run of a user's class: its model, and what is done with a batch."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.usercode import Custom
from modelyard.domain.validation import nearest
from modelyard.tasks.base import Batch, Model, call
from modelyard.tasks.custom.contract import SIGNATURES
from modelyard.tasks.custom.scoring import Scoring
from modelyard.tasks.nested import Nested
from modelyard.tasks.stacked import follows_rules
from modelyard.tasks.usercode import noted

_LOSS = "loss"


class CustomProblem:
    """The user's object and its model. ``owner`` has the methods; ``source`` is the text of its file."""

    model: nn.Module
    metadata: Mapping[str, Any]
    """What prediction needs besides config and weights, as JSON: ``source``."""

    def __init__(self, spec: RunSpec, owner: Any, *, sample: Batch, source: str) -> None:
        """Build the model. Raises ``ConfigError`` if ``build`` returns none. ``sample`` shows what batches are like."""
        assert spec.custom is not None
        self._spec = spec
        self._config: Custom = spec.custom
        self._owner = owner
        self.metadata = {"source": source}
        self.model = build_model(self._config, owner)
        self._own_forward = hasattr(owner, "forward")
        self._has_metrics = hasattr(owner, "metrics")
        self._scoring = Scoring(self._config, owner)
        self._notes = {name: f"{self._config.class_name}.{signature}" for name, signature in SIGNATURES.items()}
        inputs = self.model_inputs(sample)
        self._rules = isinstance(inputs, Tensor) and not self._own_forward and follows_rules(self.model, inputs.ndim)
        self._sums: dict[str, list[Tensor]] = {}
        self._samples = 0

    @property
    def forward(self) -> Callable[[Model, Nested], Nested]:
        """What computes the outputs: the user's ``forward``, or else the model called with its inputs."""
        return self._forward if self._own_forward else call

    @property
    def has_rules(self) -> bool:
        """Whether the rules of ``tasks.stacked`` hold for the model and its inputs."""
        return self._rules

    draws_in_evaluation = True
    """Users' metrics may."""

    def _forward(self, model: Model, batch: Nested) -> Nested:
        with noted(self._config, self._notes["forward"]):
            return self._owner.forward(model, batch)

    def training_inputs(self, batch: Batch, *, epoch: int) -> tuple[Nested, Nested]:
        """Return what the model gets, and the batch for the loss."""
        del epoch  # whatever is random is the model's, which draws from the run's own stream
        return self.model_inputs(batch), batch.inputs

    def model_inputs(self, batch: Batch) -> Nested:
        """Return what ``forward`` gets of a batch."""
        if self._own_forward or isinstance(batch.inputs, Tensor):
            return batch.inputs
        if isinstance(batch.inputs, Mapping):
            if "inputs" not in batch.inputs:
                raise self._error(f"a batch has {', '.join(batch.inputs)} and no 'inputs'; add {SIGNATURES['forward']}")
            return batch.inputs["inputs"]
        return batch.inputs[0]

    def loss(self, outputs: Nested, targets: Nested) -> Tensor:
        """Return the mean loss (scalar) of a batch."""
        with noted(self._config, self._notes["loss"]):
            loss = self._owner.loss(outputs, targets)
        if not isinstance(loss, Tensor) or loss.ndim:
            returned = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise self._error(f"loss() returned {returned}, not the mean of the batch: a tensor without dimensions")
        return loss

    # Evaluation.

    def start_evaluation(self) -> None:
        """Forget what was measured."""
        self._sums = {}
        self._samples = 0
        self._scoring.start()

    def evaluate(self, model: nn.Module, batch: Batch) -> Tensor:
        """Compute the outputs without gradients, add to the metrics, and return the mean loss (scalar)."""
        with torch.no_grad():
            outputs = self.forward(model, self.model_inputs(batch))
            self._samples += len(batch)
            self._scoring.add(outputs, batch)
            for name, value in self._measure(outputs, batch.inputs).items():
                self._sums.setdefault(name, []).append(self._mean(name, value, len(batch)) * len(batch))
            return self.loss(outputs, batch.inputs)

    def _measure(self, outputs: Nested, batch: Nested) -> Mapping[str, Any]:
        if not self._has_metrics:
            return {}
        with noted(self._config, self._notes["metrics"]):
            values = self._owner.metrics(outputs, batch)
        if not isinstance(values, Mapping) or not all(isinstance(name, str) and name for name in values):
            raise self._error("metrics() must return a dict from names to numbers")
        if _LOSS in values:
            raise self._error("metrics() returned 'loss', which is the mean of loss(); choose another name")
        return values

    def _mean(self, name: str, value: Any, samples: int) -> Tensor:
        """Return the mean over a batch as a double (scalar)."""
        try:
            tensor = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._error(f"metrics() returned {value!r:.60} as {name!r}; return a number or a tensor") from error
        if tensor.ndim and tensor.shape != (samples,):
            raise self._error(
                f"metrics() returned {name!r} of shape {tuple(tensor.shape)}; return its mean, or one number for each "
                f"of the {samples} samples"
            )
        # Summed on the host: not every accelerator has doubles.
        return tensor.detach().cpu().double().mean()

    def finish_evaluation(self) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """Return the metrics by name; there are no artifacts. Raises ``ConfigError`` if a watched one is missing."""
        values = {
            name: math.fsum(value.item() for value in values) / self._samples for name, values in self._sums.items()
        }
        check_watched(self._spec, [_LOSS, *values])
        return values, {}

    @property
    def unscored(self) -> str:
        """Why its samples cannot be scored; empty if they can."""
        return self._scoring.missing

    @property
    def keep_scores(self) -> bool:
        """Whether scores are kept. Setting it raises ``ConfigError`` for a class that gives none."""
        return self._scoring.keep

    @keep_scores.setter
    def keep_scores(self, keep: bool) -> None:
        self._scoring.keep = keep

    def take_scores(self) -> bytes:
        """Return the packed scores of the last evaluation, in the order of its samples, and forget them."""
        return self._scoring.take()

    def _error(self, message: str) -> ConfigError:
        return ConfigError(f"{self._config.file}: {self._config.class_name}: {message}")


def build_model(config: Custom, owner: Any) -> nn.Module:
    """Call ``build``. Raises ``ConfigError`` if it returns no module."""
    with noted(config, f"{config.class_name}.{SIGNATURES['build']}"):
        model = owner.build()
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"{config.file}: {config.class_name}: build() returned a {type(model).__name__}, not a module"
        )
    return model


def check_watched(spec: RunSpec, names: Sequence[str]) -> None:
    """Raise ``ConfigError`` if a metric that the run watches is not among those of an evaluation."""
    early = spec.training.early_stopping
    watched = {"checkpoint": spec.training.checkpoint.metric, "early_stopping": early.metric if early else None}
    known = [f"val_{name}" for name in names]
    for field, metric in watched.items():
        if metric is not None and metric not in known:
            raise ConfigError(
                f"training.{field}.metric: {metric!r} is not a metric of this run{nearest(metric, known)}; "
                "return it from metrics(), or watch another"
            )
