import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import UserError
from modelyard.domain.plan import Execution
from modelyard.scheduler.planner import MOST_SLOTS, MOST_STACKED, Wishes, make_plan


def runs(count: int, threads: int = 1) -> list[RunSpec]:
    return [RunSpec.model_validate({"training": {"threads": threads}})] * count


def test_one_run_is_trained_alone() -> None:
    (group,) = make_plan(runs(1), cores=8, devices=()).groups
    assert (group.execution, group.slots, group.device) == (Execution.SOLO, 1, "cpu")


def test_as_many_processes_as_cores_and_the_runs_take_turns() -> None:
    plan = make_plan(runs(8), cores=2, devices=())
    assert len(plan.groups) == 2
    assert {(group.execution, group.slots) for group in plan.groups} == {(None, 4)}
    assert "found to be faster" in plan.groups[0].reason
    assert "8 runs on 2 cores" in plan.groups[0].reason


def test_runs_with_more_threads_get_fewer_processes() -> None:
    assert len(make_plan(runs(8, threads=4), cores=8, devices=()).groups) == 2


def test_a_long_queue_is_not_all_in_memory() -> None:
    assert make_plan(runs(1000), cores=2, devices=()).groups[0].slots == MOST_STACKED
    plan = make_plan(runs(1000), cores=2, devices=(), wishes=Wishes(execution=Execution.SLICED))
    assert plan.groups[0].slots == MOST_SLOTS


def test_one_process_for_each_accelerator() -> None:
    plan = make_plan(runs(5), cores=64, devices=("cuda:0", "cuda:1"))
    assert [group.device for group in plan.groups] == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (Wishes(execution=Execution.SOLO), (2, Execution.SOLO, 1)),
        (Wishes(processes=1), (1, None, 8)),
        (Wishes(slots=2), (2, None, 2)),
        (Wishes(execution=Execution.SLICED, slots=1), (2, Execution.SLICED, 1)),
        (Wishes(execution=Execution.STACKED), (2, Execution.STACKED, 4)),
        (Wishes(execution=Execution.STACKED, processes=1), (1, Execution.STACKED, 8)),
    ],
)
def test_wishes_win_and_are_named(wishes: Wishes, expected: tuple[int, Execution, int]) -> None:
    plan = make_plan(runs(8), cores=2, devices=(), wishes=wishes)
    assert (len(plan.groups), plan.groups[0].execution, plan.groups[0].slots) == expected
    assert "as asked for" in plan.groups[0].reason


def test_wishes_that_cannot_be() -> None:
    with pytest.raises(UserError, match="slots must be at least 1"):
        Wishes(slots=0)
    with pytest.raises(UserError, match="solo"):
        Wishes(execution=Execution.SOLO, slots=2)


def test_nothing_to_do_needs_no_process() -> None:
    assert make_plan([], cores=2, devices=()).groups == ()


def test_more_runs_are_stacked_than_take_turns() -> None:
    plan = make_plan(runs(1000), cores=2, devices=(), wishes=Wishes(execution=Execution.STACKED))
    assert {group.slots for group in plan.groups} == {MOST_STACKED}
    assert "train as one model" in plan.groups[0].reason
