import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import UserError
from modelyard.domain.plan import Execution
from modelyard.domain.structure import structure_hash
from modelyard.scheduler.planner import MOST_SLOTS, MOST_STACKED, MOST_STRUCTURES, Wishes, make_plan


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
    with pytest.raises(UserError, match="cannot be asked for here"):
        Wishes(execution=Execution.COMPILED)
    with pytest.raises(UserError, match="slots must be at least 1"):
        Wishes(slots=0)
    with pytest.raises(UserError, match="solo"):
        Wishes(execution=Execution.SOLO, slots=2)


def test_nothing_to_do_needs_no_process() -> None:
    assert make_plan([], cores=2, devices=()).groups == ()


def sized(*sizes: int, epochs: int = 5) -> list[RunSpec]:
    return [
        RunSpec.model_validate({"model": {"name": "mlp", "hidden_sizes": [size]}, "training": {"epochs": epochs}})
        for size in sizes
    ]


def test_structures_go_to_devices_of_their_own_where_their_work_is_about_equal() -> None:
    plan = make_plan(sized(8, 16, 8, 16, 8, 16), cores=1, devices=("cuda:0", "cuda:1"))
    assert [group.slots for group in plan.groups] == [3, 3]
    assert [group.structures for group in plan.groups] == [
        (structure_hash(sized(8)[0]),),
        (structure_hash(sized(16)[0]),),
    ]
    assert {group.processes for group in plan.groups} == {1}


def test_a_structure_with_more_work_gets_more_devices() -> None:
    specs = sized(*[8] * 12, 16, 16)
    devices = tuple(f"cuda:{number}" for number in range(4))
    equal = make_plan(specs, cores=1, devices=devices)
    assert [group.slots for group in equal.groups] == [4, 4, 4, 2]
    costs = [1.0] * 12 + [18.0, 18.0]
    measured = make_plan(specs, cores=1, devices=devices, costs=costs)
    large, small = structure_hash(specs[-1]), structure_hash(specs[0])
    assert [group.structures for group in measured.groups] == [(large,), (large,), (small,), (small,)]
    assert [group.slots for group in measured.groups] == [1, 1, 6, 6]


def test_longer_runs_count_more_until_their_cost_is_known() -> None:
    specs = [*sized(8, epochs=30), *sized(16, 16, 16, epochs=10)]
    assert [group.slots for group in make_plan(specs, cores=2, devices=()).groups] == [1, 3]
    assert [group.slots for group in make_plan(specs, cores=2, devices=(), costs=[1.0] * 4).groups] == [2, 2]


def test_processes_of_one_device_know_how_many_they_are() -> None:
    assert {group.processes for group in make_plan(runs(8), cores=4, devices=()).groups} == {4}
    plan = make_plan(runs(8), cores=1, devices=("cuda:0", "cuda:1"), wishes=Wishes(processes=4))
    assert {group.processes for group in plan.groups} == {2}


def test_a_process_is_not_told_endless_structures() -> None:
    (group,) = make_plan(sized(*range(1, 101)), cores=1, devices=()).groups
    assert len(group.structures) == MOST_STRUCTURES


def test_more_runs_are_stacked_than_take_turns() -> None:
    plan = make_plan(runs(1000), cores=2, devices=(), wishes=Wishes(execution=Execution.STACKED))
    assert {group.slots for group in plan.groups} == {MOST_STACKED}
    assert "train as one model" in plan.groups[0].reason
