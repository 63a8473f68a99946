"""Batches are gathered for several steps at once; what a step sees is what the data plan says."""

from collections.abc import Callable

import numpy as np
import torch

from modelyard.domain.config import RunSpec
from modelyard.engine.data_plan import DataPlan
from modelyard.engine.feed import Feed
from modelyard.engine.learner import Learner
from modelyard.tasks.base import Batch, SplitName, TaskData
from modelyard.tasks.catalogue import task_for


def make_feed(spec: RunSpec, data: TaskData) -> Feed:
    return Feed(data, DataPlan.of(spec, samples=data.size(SplitName.TRAIN)), torch.device("cpu"))


def test_a_feed_keeps_a_block_only_while_a_learner_is_there(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec(batch_size=4)
    task = task_for(spec)
    feed = make_feed(spec, task.open_data(spec))
    learners = [Learner(spec, task, feed) for _ in range(3)]
    samples = feed.data.size(SplitName.TRAIN)
    for learner in learners:
        learner.place.micro_batches()
    assert feed.gathered == samples  # for all three
    learners.clear()
    del learner
    Learner(spec, task, feed).place.micro_batches()
    assert feed.gathered == 2 * samples


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
    feed = make_feed(spec, data)
    learner, other = Learner(spec, task, feed), Learner(spec, task, feed)
    permutation = learner.plan.permutation(0)
    steps = learner.plan.steps_per_epoch
    for step in range(steps):
        for part, expected in zip(learner.place.micro_batches(), learner.plan.step(permutation, step), strict=True):
            assert part.samples.tolist() == expected.tolist()
            whole = batch(SplitName.TRAIN, expected)
            assert torch.equal(part.inputs, whole.inputs)
            assert torch.equal(part.targets, whole.targets)
        assert all(
            part is same for part, same in zip(*(one.place.micro_batches() for one in (learner, other)), strict=True)
        )
        for one in (learner, other):
            one.progress.advance_step(steps)
    assert gathers == [data.size(SplitName.TRAIN)]
