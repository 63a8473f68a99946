"""Runs of a user's class that train as one model: batches that they share are handed over once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from modelyard.tasks.base import Batch
from modelyard.tasks.custom.problem import CustomProblem
from modelyard.tasks.nested import Nested, leaves, map_tensors, stack, unbind


class CustomProblemStack:
    """Stacks the members' inputs; each loss is computed by its own object."""

    def __init__(self, problems: Sequence[CustomProblem]) -> None:
        self._problems = tuple(problems)

    def training_inputs(self, batches: Sequence[Batch], *, epochs: Sequence[int]) -> tuple[Nested, Sequence[Nested]]:
        """Return the models' inputs [K, B, ...], or [1, B, ...] if all get the same, and each member's batch."""
        shared = all(batch is batches[0] for batch in batches)
        made = [
            problem.training_inputs(batch, epoch=epoch)
            for problem, batch, epoch in zip(self._problems, batches, epochs, strict=True)
        ]
        return stack([inputs for inputs, _ in (made[:1] if shared else made)]), [targets for _, targets in made]

    def losses(self, outputs: Nested, targets: Sequence[Nested]) -> tuple[Tensor, Callable[[Tensor], Nested]]:
        """Return each member's mean loss, [K], of outputs [K, B, ...], and the way back from there."""
        given = map_tensors(_as_leaf, outputs)
        members = zip(self._problems, unbind(given, len(self._problems)), targets, strict=True)
        with torch.enable_grad():
            losses = torch.stack([problem.loss(own, batch) for problem, own, batch in members])

        def back(scales: Tensor) -> Nested:
            wanted = [leaf for leaf in leaves(given) if leaf.requires_grad]
            found = torch.autograd.grad(losses, wanted, scales, materialize_grads=True)
            gradients = iter(found)
            return map_tensors(lambda leaf: next(gradients) if leaf.requires_grad else leaf, given)

        return losses.detach(), back


def _as_leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.is_floating_point())
