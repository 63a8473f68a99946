"""What a user's class has to look like. The guide shows one; ``METHODS`` is what is checked and told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from modelyard.tasks.nested import Nested
from modelyard.tasks.usercode import Signature

Batch = Nested
"""What a split is made of, samples first: a tensor [B, ...], or a tuple or dict of them."""


class CustomClass(Protocol):
    """The methods that every class has. It is called with the run's params as keyword arguments."""

    def data(self) -> Mapping[str, Any]:
        """Return ``train``, and if there are ``val`` and ``test``.

        Each is a tensor [N, ...], a tuple or dict of such tensors, or a map-style data set (``len()`` and ``[index]``).
        As a ``@staticmethod`` it does not depend on the params, and runs with different ones share the data.
        """
        ...

    def build(self) -> nn.Module:
        """Return the model; its initial weights come from torch's global generator, seeded with the run's seed."""
        ...

    def loss(self, outputs: Any, batch: Batch) -> Tensor:
        """Return the mean loss of a batch (scalar)."""
        ...


class Optional(CustomClass, Protocol):
    """The methods that a class may have besides."""

    def forward(self, model: nn.Module, batch: Batch) -> Any:
        """Return the model's outputs; else it is called with the first tensor of a tuple, or ``inputs`` of a dict."""
        ...

    def metrics(self, outputs: Any, batch: Batch) -> Mapping[str, Tensor]:
        """Return numbers by name: each a mean of the batch (scalar), or one for each sample [B]."""
        ...

    def scores(self, outputs: Any, batch: Batch) -> Tensor:
        """Return a score between 0 and 1 for each sample, [B]; more is better. Racing compares runs by their means.

        Each depends on its own sample alone, and no other number of the batch.
        """
        ...

    def predict(self, model: nn.Module, file: Path) -> Mapping[str, float]:
        """Return the probability of every class for a file, for ``modelyard predict``."""
        ...


METHODS = (
    Signature(
        name="data", arguments=(), returns="a dict with 'train' and, if there are, 'val' and 'test'", required=True
    ),
    Signature(name="build", arguments=(), returns="the model (torch.nn.Module)", required=True),
    Signature(
        name="loss", arguments=("outputs", "batch"), returns="the mean loss of the batch (scalar)", required=True
    ),
    Signature(name="forward", arguments=("model", "batch"), returns="the outputs for the batch"),
    Signature(name="metrics", arguments=("outputs", "batch"), returns="a dict of means, or of one number per sample"),
    Signature(
        name="scores",
        arguments=("outputs", "batch"),
        returns="a number between 0 and 1 for each sample of the batch [B], more is better",
    ),
    Signature(name="predict", arguments=("model", "file"), returns="a dict from each class to its probability"),
)
SIGNATURES = {signature.name: signature for signature in METHODS}
