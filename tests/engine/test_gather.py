"""Batches are gathered for several steps at once; what a step sees is what the data plan says."""

from collections.abc import Callable

import numpy as np
import torch

from modelyard.domain.config import RunSpec
from modelyard.engine.learner import Learner
from modelyard.tasks.base import Batch, SplitName
from modelyard.tasks.catalogue import task_for


def test_small_samples_take_few_gathers_and_come_in_the_order_of_the_plan(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec(batch_size=4)
    task = task_for(spec)
    data = task.open_data(spec)
    gathers = []
    batch = data.batch

    def counted(split: SplitName, samples: np.ndarray) -> Batch:
        gathers.append(len(samples))
        return batch(split, samples)

    data.batch = counted  # type: ignore[method-assign]
    learner = Learner(spec, task, data, torch.device("cpu"))
    permutation = learner.plan.permutation(0)
    steps = learner.plan.steps_per_epoch
    for step in range(steps):
        for part, expected in zip(learner._take_micro_batches(), learner.plan.step(permutation, step), strict=True):
            assert part.samples.tolist() == expected.tolist()
            whole = batch(SplitName.TRAIN, expected)
            assert torch.equal(part.inputs, whole.inputs)
            assert torch.equal(part.targets, whole.targets)
        learner.progress.advance_step(steps)
    assert len(gathers) == 2  # one step to learn the size, then all others
    assert sum(gathers) == data.size(SplitName.TRAIN)
