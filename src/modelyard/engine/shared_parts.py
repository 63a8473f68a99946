"""What a learner's models share with those of other learners: frozen parts, which never change."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from modelyard.tasks.frozen_part import FrozenPart, is_same


class SharedParts:
    """The frozen parts of one learner's models."""

    def __init__(self, parts: Sequence[FrozenPart] = ()) -> None:
        self.parts = tuple(parts)

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is a part's, on the host."""
        return any(part.holds(tensor) for part in self.parts)

    def leave_device(self) -> None:
        """Have the parts in host memory alone."""
        for part in self.parts:
            part.leave_device()

    def keep(self, weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies of ``weights`` on the host, and the shared tensors themselves in place of equal ones.

        ``own`` are a model's present weights, by the same names.
        """
        shared = {name: tensor for name, tensor in own.items() if self.holds(tensor)}
        return {
            name: shared[name]
            if name in shared and is_same(shared[name], tensor)
            else tensor.detach().to("cpu", copy=True)
            for name, tensor in weights.items()
        }
