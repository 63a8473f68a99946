"""The scores that a user's class gives to single samples: checked, and kept in the order of the samples."""

from typing import Any

import torch
from torch import Tensor

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.usercode import Custom
from modelyard.domain.sample_scores import pack_scores
from modelyard.tasks.base import Batch
from modelyard.tasks.custom.contract import SIGNATURES
from modelyard.tasks.nested import Nested
from modelyard.tasks.usercode import noted

_ROUNDING = 1e-3
"""How far beyond 0 and 1 a score may lie by rounding: less than half a step of what is kept of it."""


class Scoring:
    """Calls ``scores`` of the user's object, where it is asked to ``keep`` what that returns."""

    def __init__(self, config: Custom, owner: Any) -> None:
        self._config = config
        self._owner = owner
        self._what = f"{config.class_name}.{SIGNATURES['scores']}"
        self._keep = False
        self._kept: list[Tensor] = []
        has_scores = hasattr(owner, "scores")
        self.missing = "" if has_scores else f"{config.class_name} has no method 'scores'; add {SIGNATURES['scores']}"
        """What is to be added before a search can race; empty if there is nothing."""

    @property
    def keep(self) -> bool:
        """Whether scores are kept. Setting it raises ``ConfigError`` for a class that gives none."""
        return self._keep

    @keep.setter
    def keep(self, keep: bool) -> None:
        if keep and self.missing:
            raise ConfigError(
                f"{self._config.file}: racing needs a score of each validation sample, and {self.missing}"
            )
        self._keep = keep

    def start(self) -> None:
        """Forget what was kept."""
        self._kept = []

    def add(self, outputs: Nested, batch: Batch) -> None:
        """Score the samples of a batch. Raises ``ConfigError`` for what are no scores."""
        if not self._keep:
            return
        with noted(self._config, self._what):
            scores = self._owner.scores(outputs, batch.inputs)
        self._kept.append(self._checked(scores, batch.samples))

    def take(self) -> bytes:
        """Return the packed scores, and forget them."""
        kept, self._kept = self._kept, []
        return pack_scores(torch.cat(kept).numpy()) if kept else b""

    def _checked(self, scores: Any, samples: Tensor) -> Tensor:
        """Return them as doubles, [B], on the host."""
        if not isinstance(scores, Tensor):
            raise self._error(f"a {type(scores).__name__}, not a tensor with one number for each sample")
        if scores.shape != samples.shape:
            raise self._error(
                f"a tensor of shape {tuple(scores.shape)}; return one number for each of the {len(samples)} samples"
            )
        values = scores.detach().cpu().double()
        good = (values >= -_ROUNDING) & (values <= 1 + _ROUNDING)  # NaN is neither
        if not good.all():
            first = int((~good).nonzero()[0])
            raise self._error(
                f"{values[first].item():g} for sample {int(samples[first])}; a score is between 0 and 1, and more is "
                "better"
            )
        return values

    def _error(self, returned: str) -> ConfigError:
        return ConfigError(f"{self._config.file}: {self._config.class_name}: scores() returned {returned}")
