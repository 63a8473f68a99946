"""Members of a stack that are a little apart come to the same step, and then stay there."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.config import RunSpec
from modelyard.domain.run import Run
from modelyard.engine.executors import Stacked, _base
from modelyard.engine.executors.lockstep import WORTH, catch_up
from modelyard.engine.executors.trials import Trials
from modelyard.engine.learner import Learner
from modelyard.engine.stack import Stack


def session(step: int, *, total: int = 1000, length: int = 10, priority: int = 0, trained: bool = False) -> Any:
    progress = SimpleNamespace(step=step, step_in_epoch=step % length)
    plan = SimpleNamespace(steps_per_epoch=length)
    learner = SimpleNamespace(progress=progress, plan=plan, total_steps=total)
    return SimpleNamespace(learner=learner, priority=priority, trained=trained)


def steps(group: list[Any]) -> list[int]:
    return [one.learner.progress.step for one in group]


def let_catch_up(group: list[Any], *, fully: bool = False) -> int:
    """Do all that is to be done; return how many steps the others waited."""
    waited = 0
    while (behind := catch_up(group, fully=fully)) is not None:
        waited += behind.steps
        assert 0 < len(behind.sessions) < len(group)
        for one in behind.sessions:
            progress = one.learner.progress
            progress.step += behind.steps
            progress.step_in_epoch = progress.step % one.learner.plan.steps_per_epoch
    return waited


def test_those_behind_catch_up_one_after_the_other() -> None:
    group = [session(60), session(50), session(20)]
    first = catch_up(group)
    assert first is not None
    assert (first.sessions, first.steps) == ([group[2]], 30)
    assert let_catch_up(group) == 40
    assert steps(group) == [60, 60, 60]


def test_those_far_behind_come_to_the_same_place_within_an_epoch() -> None:
    group = [session(604), session(13), session(200)]
    assert let_catch_up(group, fully=True) == 0
    let_catch_up(group)
    assert steps(group) == [610, 20, 200]


@pytest.mark.parametrize(
    "other",
    [session(10, total=60), session(15, length=11), session(10, priority=1), session(12, trained=True)],
    ids=["few steps are left", "other epochs", "other priority", "an evaluation is left"],
)
def test_nobody_waits_where_it_is_no_use(other: Any) -> None:
    assert catch_up([other, session(21)]) is None


@given(st.lists(st.integers(0, 900), min_size=2, max_size=8), st.integers(2, 40), st.booleans())
def test_it_ends_soon_and_brings_them_together(places: list[int], length: int, fully: bool) -> None:
    group = [session(place, length=length) for place in places]
    apart, left = max(places) - min(places), 1000 - max(places)
    waited = let_catch_up(group, fully=fully)
    assert waited <= max(WORTH * left, 0)
    if apart <= WORTH * left:
        assert len({*steps(group)}) == 1
    elif fully:
        assert steps(group) == places
    elif length <= WORTH * left:
        assert len({one.learner.progress.step_in_epoch for one in group}) == 1


def test_after_the_trials_all_members_step_together(
    train: Callable[..., list[Run]], make_spec: Callable[..., RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    add, backward, step = Trials.add, Stack.backward, Learner.train_step
    taken: list[set[int] | None] = []

    def together(stack: Stack, begun: Any) -> None:
        taken.append({learner.progress.step for learner in stack.learners})
        backward(stack, begun)

    def alone(learner: Learner) -> Any:
        taken.append(None)
        return step(learner)

    def fast(trials: Trials, members: int, _: Any) -> None:
        add(trials, members, [1.0])

    monkeypatch.setattr(Stack, "backward", together)
    monkeypatch.setattr(Learner, "train_step", alone)
    monkeypatch.setattr(Trials, "add", fast)
    monkeypatch.setattr(_base, "ENOUGH_SECONDS", 0.0)
    specs = [make_spec("mlp", optimizer, epochs=100, checkpoint={}) for optimizer in ("adamw", "sgd", "adam", "lion")]
    (run, *_) = train(specs, executor=Stacked(chunk_seconds=0.05, measures=True), slots=4)
    assert run.step > 250
    assert None not in taken[-run.step // 2 :], "the short last batch of an epoch is taken together, too"
    assert all(len(places) == 1 for places in taken if places is not None), "also in the trials"
