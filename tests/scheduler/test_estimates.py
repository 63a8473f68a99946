"""From measured steps to the choice of a way and to the time of a sweep."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.measurement import Facts, Measurement, Way
from modelyard.domain.plan import Execution
from modelyard.scheduler.estimates import Estimate, Runs, Tried, estimate, sizes_to_try, wall_time

NOW = datetime.now(UTC)
FACTS = Facts(
    parameters=10,
    weight_bytes=100,
    optimizer_bytes=200,
    evaluation_seconds=0.01,
    steps_per_epoch=50,
    train_samples=1000,
    val_samples=100,
    test_samples=30,
    start_seconds=2.0,
    open_seconds=1.0,
    measured_at=NOW,
)


def tried(members: int, seconds: float, *, processes: int = 2, **more: Any) -> Tried:
    fields = {"members": members, "processes": processes, "seconds": seconds, "steps": 20, "source": "plan"}
    one = Measurement.model_validate({**fields, "measured_at": NOW, "peak_bytes": 1000 * members, **more})
    return Tried(way=one.way, measurement=one)


def runs(count: int = 16, *, memory: int | None = None, **training: Any) -> Runs:
    spec = RunSpec.model_validate({"training": {"epochs": 10, **training}})
    return Runs(specs=(spec,) * count, together=8, processes=2, memory_bytes=memory)


def judge(*ways: Tried, what: Runs | None = None, execution: Execution | None = None) -> Estimate:
    return estimate(what or runs(), FACTS, ways, execution=execution)


ALONE, FOUR, EIGHT = tried(1, 1.0), tried(4, 2.2), tried(8, 3.2)


def test_the_fastest_stack_is_chosen_and_everything_else_says_by_how_much_it_lost() -> None:
    result = judge(ALONE, tried(1, 0.8, processes=1), FOUR, EIGHT)
    told = {(one.name, one.processes): (one.speed, one.verdict) for one in result.options}
    assert told == {
        ("alone", 2): (1.0, "loses"),
        ("alone", 1): (pytest.approx(0.625), "for comparison: other cores would be idle"),
        ("stacked 4", 2): (pytest.approx(4 / 2.2), "loses"),
        ("stacked 8", 2): (pytest.approx(2.5), "chosen"),
    }
    assert result.members == 8
    assert result.training_seconds == pytest.approx(16 * 500 * 3.2 / 8)
    assert result.longest_seconds == pytest.approx(500 * 3.2)
    assert result.evaluation_seconds == pytest.approx(16 * (10 * 100 + 30) * 0.01)
    assert sum(one or 0 for one in result.run_seconds) == pytest.approx(16 * (200 + 10.3))


def test_a_stack_that_is_not_worth_it_loses_with_the_rule() -> None:
    result = judge(ALONE, tried(8, 7.5))
    assert result.members == 1
    assert [one.verdict for one in result.options] == [
        "chosen",
        "loses: a stack must be 1.15x as fast as its runs alone",
    ]


@pytest.mark.parametrize(
    ("execution", "members"), [(Execution.SOLO, 1), (Execution.SLICED, 1), (Execution.STACKED, 8), (None, 4)]
)
def test_what_the_user_asked_for_is_estimated(execution: Execution | None, members: int) -> None:
    result = judge(ALONE, tried(4, 1.0), tried(8, 7.9), execution=execution)
    assert result.members == members


def test_evaluations_count_as_often_as_they_are_done() -> None:
    result = judge(ALONE, what=runs(1, evaluate_every=4))
    assert result.evaluation_seconds == pytest.approx((3 * 100 + 30) * 0.01)


def test_what_does_not_fit_is_not_chosen() -> None:
    result = judge(ALONE, FOUR, EIGHT, what=runs(memory=10_000))
    assert result.members == 4
    assert result.options[2].verdict == "does not fit: 8,000 bytes in each of 2 processes"
    assert result.memory_bytes == 4000


def test_runs_that_wait_for_their_turn_take_memory() -> None:
    assert judge(ALONE).memory_bytes == 1000 + 7 * 300


def test_what_could_not_be_measured_says_why_and_the_rest_is_judged() -> None:
    result = judge(ALONE, FOUR, Tried(way=Way(8, 2), problem="failed: out of memory"))
    assert result.members == 4
    assert (result.options[2].speed, result.options[2].verdict) == (None, "failed: out of memory")


def test_without_one_run_alone_nothing_is_known() -> None:
    result = estimate(runs(), None, [Tried(way=Way(1, 2), problem="failed: it died")])
    assert result.members is result.training_seconds is None
    assert result.options[0].verdict == "failed: it died"
    assert wall_time([judge(ALONE), result], start=1, opening=1, processes=2) is None


def compiled(seconds: float) -> Tried:
    return tried(1, seconds, processes=1, compiled=True, compile_seconds=50.0)


SINGLE = tried(1, 0.8, processes=1)


def test_compiling_is_chosen_where_it_is_the_fastest_with_its_own_time() -> None:
    result = judge(ALONE, SINGLE, compiled(0.4))
    assert [one.verdict.split(":")[0] for one in result.options] == ["loses", "for comparison", "chosen"]
    option = result.options[2]
    assert (option.name, option.compile_seconds, option.speed) == ("compiled", 50.0, pytest.approx(2.0))
    # 500 steps of 0.8 s beside idle cores against 500 of 0.4 s and 50 s of compiling
    assert option.verdict.startswith(
        "chosen: it trains at 1.60x the speed, the time of compiling included, as measured"
    )
    assert (result.members, result.compiled) == (1, 16)
    # Each of the two processes compiles once, and both together are slower than one by 1.0 to 0.8.
    assert result.training_seconds == pytest.approx(16 * 500 * 0.4 / 0.8 + 2 * 50)
    assert result.longest_seconds == pytest.approx(500 * 0.4 / 0.8)


@pytest.mark.parametrize(
    ("ways", "why"),
    [
        ((compiled(0.65),), "loses: it trains at 1.07x the speed, .* must be 1.15x as fast as uncompiled"),
        ((compiled(9.0),), "loses: it trains at 0.09x the speed"),
        ((EIGHT, compiled(0.3)), "must be 1.15x as fast as the 2.50x of 8 runs as one model"),
    ],
)
def test_compiling_loses_with_the_reason(ways: tuple[Tried, ...], why: str) -> None:
    result = judge(ALONE, SINGLE, *ways)
    assert re.search(why, result.options[-1].verdict), result.options[-1].verdict
    assert result.compiled == 0
    assert result.members == (8 if EIGHT in ways else 1)


@pytest.mark.parametrize("execution", [Execution.SLICED, Execution.STACKED])
def test_who_asks_for_an_execution_gets_no_other(execution: Execution) -> None:
    result = judge(ALONE, SINGLE, compiled(0.1), execution=execution)
    assert result.options[2].verdict == f"loses: not where --execution {execution} is asked for"


@pytest.mark.parametrize(("mode", "count"), [("always", 16), ("never", 0)])
def test_compiling_follows_the_config(mode: str, count: int) -> None:
    result = judge(ALONE, SINGLE, compiled(0.1 if mode == "never" else 9.0), what=runs(compile=mode))
    assert result.compiled == count
    assert result.options[2].verdict == f"{'chosen' if count else 'loses'}: training.compile is {mode}"


def test_short_runs_are_not_compiled_where_long_ones_are() -> None:
    specs = (*runs(3).specs, *runs(1, epochs=1).specs)
    result = judge(ALONE, SINGLE, compiled(0.4), what=Runs(specs=specs, together=2, processes=2, memory_bytes=None))
    assert result.compiled == 3
    assert result.options[2].verdict.startswith("chosen for 3 of 4 runs: it trains at 1.60x")
    assert result.options[0].verdict == "chosen"


def test_processes_share_the_work_but_none_ends_before_its_longest_run() -> None:
    time = wall_time([judge(ALONE)], start=2.0, opening=1.0, processes=2)
    assert time is not None
    assert time.training == pytest.approx(16 * 500 / 2)
    assert time.total == pytest.approx(2 + 1 + 4000 + 16 * 10.3 / 2)
    lonely = wall_time([judge(ALONE, what=runs(1))], start=0.0, opening=0.0, processes=2)
    assert lonely is not None
    assert lonely.training == pytest.approx(500)


def test_sizes_to_try_are_those_that_training_would_try() -> None:
    assert [sizes_to_try(together) for together in (1, 2, 3, 8, 16)] == [(), (2,), (2, 3), (4, 8), (8, 16)]


def test_shared_steps_and_their_validations_count_once_and_the_longest_run_still_takes_its_time() -> None:
    """Four runs of 5, 10, 15 and 20 epochs begin alike: each goes on from the one before it."""
    specs = tuple(RunSpec.model_validate({"training": {"epochs": epochs}}) for epochs in (5, 10, 15, 20))
    shared = (0, 249, 499, 749)
    what = Runs(specs=specs, together=2, processes=2, memory_bytes=None, shared=shared)
    result = judge(ALONE, what=what)
    assert result.training_seconds == pytest.approx(20 * 50 + 3)
    assert result.longest_seconds == pytest.approx(20 * 50)
    validations = 5 + (10 - 4) + (15 - 9) + (20 - 14)
    assert result.evaluation_seconds == pytest.approx((validations * 100 + 4 * 30) * 0.01)
    time = wall_time([result], start=0.0, opening=0.0, processes=2)
    assert time is not None
    assert time.training == pytest.approx(20 * 50), "they follow one another"
