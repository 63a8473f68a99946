"""Work is shared out evenly, and runs that may train as one model stay together."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.scheduler.shares import share_out

RUNS = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.1, 100.0)), min_size=1, max_size=40)


@given(RUNS, st.integers(1, 8))
def test_every_run_has_one_place_and_no_place_is_idle(runs: list[tuple[str, float]], places: int) -> None:
    structures, costs = [name for name, _ in runs], [cost for _, cost in runs]
    shares = share_out(structures, costs, places)
    assert sorted(run for share in shares for run in share) == list(range(len(runs)))
    assert sum(1 for share in shares if share) == min(places, len(runs))
    assert shares == share_out(structures, costs, places)


@given(RUNS, st.integers(1, 8))
def test_no_place_has_much_more_than_its_share(runs: list[tuple[str, float]], places: int) -> None:
    costs = [cost for _, cost in runs]
    shares = share_out([name for name, _ in runs], costs, places)
    fair = sum(costs) / places
    # A structure of up to 1.5 shares stays in one place, beside what was there: at most another fair share.
    assert max(sum(costs[run] for run in share) for share in shares) <= 2.5 * fair + max(costs)


@given(st.integers(1, 60), st.integers(1, 8))
def test_runs_of_one_structure_are_shared_out_evenly(count: int, places: int) -> None:
    sizes = [len(share) for share in share_out(["a"] * count, [1.0] * count, places)]
    assert max(sizes) - min(sizes) <= 1


def test_a_structure_is_only_split_as_far_as_its_work_asks_for() -> None:
    structures = ["a"] * 4 + ["b"] * 4 + ["c"] * 8
    shares = share_out(structures, [1.0] * 16, 4)
    assert [{structures[run] for run in share} for share in shares] == [{"c"}, {"c"}, {"a"}, {"b"}]


def test_runs_that_cost_nothing_are_placed_all_the_same() -> None:
    assert share_out(["a", "a"], [0.0, 0.0], 2) == [[0], [1]]
