"""A group is measured in each way in turn, and then trains in the one that was faster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.measurement import WORTH_IT
from modelyard.engine.executors._base import StepTimes
from modelyard.engine.executors.trials import Choice, Trials


def measure(trials: Trials, size: int, seconds: dict[int, float]) -> list[int]:
    """Do all the trials that are wanted, with steps of so many seconds; return their sizes."""
    done = []
    while (members := trials.wanted(size)) is not None:
        done.append(members)
        trials.add(members, [seconds[members]] * 9)
        trials.go_on()
    return done


def test_each_way_is_tried_twice_in_turn() -> None:
    trials = Trials()
    assert measure(trials, 8, {1: 1.0, 4: 2.0, 8: 3.0}) == [1, 4, 8, 1, 4, 8]
    choice = trials.choice(8)
    assert choice.members == 8
    assert choice.gain == pytest.approx(8 / 3)
    assert "8 runs as one model trained at 2.67x the speed of taking turns" in choice.reason


def test_less_than_what_is_worth_it_takes_turns() -> None:
    trials = Trials()
    measure(trials, 4, {1: 1.0, 2: 1.9, 4: 4 / (WORTH_IT - 0.01)})
    choice = trials.choice(4)
    assert (choice.members, choice.gain) == (1, 1.0)
    assert "1.14x" in choice.reason


def test_half_a_group_at_a_time_where_that_is_faster() -> None:
    trials = Trials()
    measure(trials, 8, {1: 1.0, 4: 1.0, 8: 4.0})
    assert trials.choice(8).members == 4


def test_a_group_that_shrinks_is_judged_by_what_was_measured() -> None:
    trials = Trials()
    measure(trials, 8, {1: 1.0, 4: 3.0, 8: 4.0})  # 2 + 0.25 for each member
    assert trials.wanted(5) is None
    assert trials.choice(5).gain == pytest.approx(5 / 3.25)
    assert trials.choice(2).members == 1  # 2.5 for both of them, alone 2
    assert trials.choice(1).members == 1


def test_a_group_that_shrank_so_far_that_nothing_is_known_is_measured_again() -> None:
    trials = Trials()
    measure(trials, 8, {1: 1.0, 4: 2.0, 8: 3.0})
    assert trials.wanted(3) is None
    assert measure(trials, 2, {1: 1.0, 2: 1.9}) == [1, 2, 1, 2]
    assert trials.choice(2).members == 1
    assert trials.choice(8).members == 8


def test_what_was_measured_on_another_day_is_not_tried_again() -> None:
    trials = Trials()
    trials.recall({1: 1.0, 8: 3.0}, {1: "2026-11-20", 8: "2026-11-20"})
    assert trials.wanted(8) is None
    choice = trials.choice(8)
    assert choice.members == 8
    assert choice.reason.endswith("2.67x the speed of taking turns, as measured on 2026-11-20")
    assert trials.news() == {}


def test_what_is_measured_here_replaces_what_was_recalled_and_is_news_once_all_is_tried() -> None:
    trials = Trials()
    trials.recall({1: 1.0, 4: 1.0}, {1: "2026-11-20", 4: "2026-11-20"})
    assert trials.wanted(8) == 1
    trials.add(1, [2.0])
    trials.go_on()
    assert trials.news() == {}
    assert measure(trials, 8, {1: 2.0, 4: 9.0, 8: 9.0}) == [4, 8, 1, 4, 8]
    assert set(trials.news()) == {1, 4, 8}
    assert trials.choice(4).members == 1, "the recalled second is forgotten"
    assert "as measured on" not in trials.choice(8).reason


def test_half_of_what_is_known_is_not_enough() -> None:
    trials = Trials()
    trials.recall({8: 3.0}, {8: "2026-11-20"})
    assert trials.wanted(8) == 1


def test_a_group_that_grows_is_measured_again() -> None:
    trials = Trials()
    measure(trials, 4, {1: 1.0, 2: 1.0, 4: 1.0})
    assert trials.wanted(5) is None
    assert measure(trials, 6, {1: 1.0, 3: 1.0, 6: 1.0}) == [1, 3, 6, 1, 3, 6]


def test_a_trial_that_was_cut_short_is_repeated_and_one_that_became_too_large_left_out() -> None:
    trials = Trials()
    assert trials.wanted(4) == 1
    assert trials.wanted(4) == 1
    trials.go_on()
    assert trials.wanted(4) == 1
    for members in (1, 2):
        trials.add(members, [1.0])
        trials.go_on()
    assert trials.wanted(4) == 4
    assert trials.wanted(3) == 1


def test_all_parts_of_a_trial_count() -> None:
    trials = Trials()
    assert trials.wanted(2) == 1
    trials.add(1, [4.0])
    assert trials.wanted(2) == 1
    trials.add(1, [2.0, 2.0])
    trials.go_on()
    assert measure(trials, 2, {1: 2.0, 2: 1.0}) == [2, 1, 2]
    assert trials.choice(2).gain == pytest.approx(4.0)


def test_steps_are_measured_until_there_are_enough_and_the_first_half_does_not_count() -> None:
    short, long, longer = StepTimes(), StepTimes(), StepTimes()
    for times, seconds, count in ((short, 0.001, 100), (long, 0.1, 10), (longer, 60.0, 4)):
        for number in range(count):
            assert not times.full
            times.add(99e-6 if number < 2 else seconds)
        while not times.full:
            times.add(seconds)
        assert set(times.settled) == {seconds}


def test_what_did_not_fit_is_not_tried_again() -> None:
    trials = Trials()
    assert trials.choice(8).members == 8
    trials.does_not_fit(8, "out of memory")
    assert trials.choice(8).members == 4
    assert measure(trials, 8, {1: 1.0, 2: 1.0, 4: 1.0}) == [1, 2, 4, 1, 2, 4]
    assert "could not be stacked" not in trials.choice(8).reason
    trials.does_not_fit(4, "out of memory")
    trials.does_not_fit(2, "no rule for vmap")
    assert trials.choice(8) == Choice(1, reason="its model could not be stacked: no rule for vmap")


@given(st.integers(2, 40), st.floats(0.1, 10.0), st.floats(0.0, 10.0), st.floats(0.0, 2.0))
def test_never_slower_than_taking_turns(size: int, alone: float, fixed: float, each: float) -> None:
    trials = Trials()
    seconds = {members: fixed + each * members + 1e-6 for members in range(2, size + 1)}
    measure(trials, size, {1: alone, **seconds})
    for members in range(1, size + 1):
        choice = trials.choice(members)
        time = alone * members if choice.members == 1 else seconds[choice.members] * members / choice.members
        assert time <= alone * members * (1 + 1e-6)
