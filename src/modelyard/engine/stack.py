"""Learners of one structure that take their optimizer steps together, as one model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from modelyard.engine.learner import Learner
from modelyard.engine.step import Step, StepDone
from modelyard.tasks.base import Batch
from modelyard.tasks.schedules import is_constant
from modelyard.tasks.stacked import StackedModel, is_stackable, stack_models
from modelyard.tasks.usercode import RAISED


def stack_key(learner: Learner) -> str | None:
    """Return what learners that can share a stack have in common; None for a model that cannot be stacked."""
    stackable = learner.stackable and learner.compiled is None and is_stackable(learner.problem)
    return f"{learner.device} {learner.on_features} {learner.structure}" if stackable else None


STRIDE_SECONDS = 0.02
"""Requests wait so long at the most, or one step."""


@dataclass
class Stride:
    """Several plain steps."""

    losses: list[Tensor] = field(default_factory=list)
    """Those of each step, [K]."""
    samples: int = 0
    """Of each learner, in all steps."""


class Stack:
    """A context manager. While it is open, each learner is still whole: it may be evaluated, saved, or step alone."""

    def __init__(self, learners: Sequence[Learner]) -> None:
        self.learners = tuple(learners)
        self._problems = self.learners[0].task.stack([learner.problem for learner in learners])
        self._model: StackedModel | None = None

    def __enter__(self) -> Self:
        self.learners[0].prepare_process()
        try:
            streams = [learner.join_stack() for learner in self.learners]
            self._model = stack_models([learner.problem for learner in self.learners], streams)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._model is not None:
            self._model.release()
        for learner in self.learners:
            learner.leave_stack()

    def backward(self, steps: Sequence[Step]) -> None:
        """Compute every learner's gradients for a step that was begun; all have micro-batches of the same sizes.

        If it fails, every learner is as it was before, but for the steps that were begun.
        """
        assert self._model is not None
        memory = self._model.remember()
        try:
            self._model.zero_grad()
            for number in range(len(steps[0].micro_batches)):
                self._micro_batch(self._model, steps, number)
            self._model.hand_out_gradients()
        except Exception:
            memory.restore()
            raise

    def take_steps(self, count: int) -> list[StepDone]:
        """Let all take up to so many of their next steps, at least one; return what each did.

        Empty where they have to take one step, with all that belongs to it: nothing has changed then.
        """
        learners = self.learners
        places = [learner.place for learner in learners if learner.place is not None and learner.has_plain_steps]
        if count < 2 or len(places) < len(learners) or not all(place.is_at(places[0]) for place in places):
            return []
        stride = self.stride(count, seconds=STRIDE_SECONDS)
        if not stride.losses:
            return []
        table = torch.stack(stride.losses)  # [steps, K]
        return [learner.end_stride(own, stride.samples) for learner, own in zip(learners, table.unbind(1), strict=True)]

    def stride(self, count: int, *, seconds: float) -> "Stride":
        """Take up to ``count`` plain steps of learners that are at the same place, until ``seconds`` are over.

        One that fails is as if it had not begun. The learners' positions stay where they are.
        """
        assert self._model is not None
        done, optimizers, end = Stride(), list[Callable[[], None]](), time.monotonic() + seconds
        changing = [learner for learner in self.learners if not is_constant(learner.spec.schedule)]
        try:
            upcoming = [learner.place.upcoming(count) for learner in self.learners if learner.place is not None]
        except RAISED:  # samples that cannot be read
            return done
        for ahead, (batch,) in enumerate(upcoming[0]):
            memory = self._model.remember()
            for learner in self.learners if ahead == 0 else changing:
                learner.prepare_step(ahead)
            try:
                self._model.zero_grad()
                losses = self._gradients(self._model, [batch] * len(self.learners), 1.0)
                if not optimizers or self._model.gradients_moved:
                    self._model.hand_out_gradients()
                    optimizers = [learner.optimizer_step() for learner in self.learners]
            except RAISED:
                memory.restore()
                break
            with torch.no_grad():
                for step in optimizers:
                    step()
            done.losses.append(losses)
            done.samples += len(batch)
            if time.monotonic() >= end:
                break
        return done

    def _micro_batch(self, model: StackedModel, steps: Sequence[Step], number: int) -> None:
        batches = [step.micro_batches[number] for step in steps]
        losses = self._gradients(model, batches, steps[0].shares[number])
        for step, loss in zip(steps, losses.unbind(0), strict=True):
            step.add_loss(loss, number)

    def _gradients(self, model: StackedModel, batches: Sequence[Batch], share: float) -> Tensor:
        """Add the gradients of a micro-batch of each learner, ``share`` of its step; return the losses, [K]."""
        epochs = [learner.progress.epoch for learner in self.learners]
        with self.learners[0].autocast():
            inputs, targets = self._problems.training_inputs(batches, epochs=epochs)
            outputs = model.forward(inputs)
            losses, back = self._problems.losses(outputs, targets)
        model.backward(back(self._scales(losses, share)))
        return losses

    def _scales(self, losses: Tensor, share: float) -> Tensor:
        """Return the factor of each member's loss, [K]: its share of the step, as its scaler scales it."""
        factors = [factor for learner in self.learners if (factor := learner.scaled_share(share)) is not None]
        return torch.stack(factors) if factors else torch.ones_like(losses)
