"""Image problems that train as one model: what several of them ask for is done once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from modelyard.tasks.base import Batch
from modelyard.tasks.image_classification.problem import ImageProblem
from modelyard.tasks.stacked import Back, stack_losses


class ImageProblemStack:
    """Normalises a batch once for all members, and augments it once for all that augment it alike."""

    def __init__(self, problems: Sequence[ImageProblem]) -> None:
        self._problems = tuple(problems)
        self._losses = stack_losses([problem.loss_function for problem in problems])

    def training_inputs(self, batches: Sequence[Batch], *, epochs: Sequence[int]) -> tuple[Tensor, Sequence[Tensor]]:
        """Return pixels [K, B, C, H, W], or [1, B, C, H, W] if all members get the same, and each member's targets."""
        wanted = [
            (problem.augmentation, epoch, id(batch))
            for problem, epoch, batch in zip(self._problems, epochs, batches, strict=True)
        ]
        members = {key: member for member, key in reversed(list(enumerate(wanted)))}
        distinct = sorted(members.values())  # the first member of each kind: all of them, if no two want the same
        made = [self._problems[one].training_inputs(batches[one], epoch=epochs[one]) for one in distinct]
        if len(made) == 1:
            return made[0][0].unsqueeze(0), [made[0][1]] * len(wanted)
        inputs = torch.stack([pixels for pixels, _ in made])
        places = [distinct.index(members[key]) for key in wanted]
        if len(distinct) < len(wanted):
            inputs = inputs[places]
        return inputs, [made[place][1] for place in places]

    def losses(self, outputs: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, Back]:
        """Return each member's mean loss, float [K], of logits [K, B, classes], and the way back from there."""
        return self._losses(outputs, targets)
