import itertools

import pytest

from modelyard.domain.parts.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ScheduleConfig,
    Step,
    WarmupCosine,
)
from modelyard.tasks.schedules import SCHEDULES, factor

TOTAL = 300


@pytest.mark.parametrize(
    ("config", "first", "end"),
    [
        (Constant(), 1.0, 1.0),
        (Step(every=0.25, gamma=0.5), 1.0, 0.5**4),
        (Exponential(final=0.01), 1.0, 0.01),
        (Cosine(final=0.1), 1.0, 0.1),
        (WarmupCosine(warmup=0.1, final=0.2), 1 / 31, 0.2),
        (WarmupCosine(warmup=0.0), 1.0, 0.0),
        (OneCycle(start=0.04, final=1e-3), 0.04, 1e-3),
    ],
)
def test_values_at_both_ends(config: ScheduleConfig, first: float, end: float) -> None:
    assert factor(config, 0, TOTAL) == pytest.approx(first)
    assert factor(config, TOTAL, TOTAL) == pytest.approx(end)
    assert factor(config, TOTAL + 50, TOTAL) == pytest.approx(end), "a run that was shortened"


def test_values_in_the_middle() -> None:
    assert factor(Cosine(), 150, TOTAL) == pytest.approx(0.5)
    assert factor(Exponential(final=0.01), 150, TOTAL) == pytest.approx(0.1)
    assert factor(WarmupCosine(warmup=0.1), 30, TOTAL) == 1.0
    assert factor(WarmupCosine(warmup=0.1), 29, TOTAL) == pytest.approx(30 / 31)
    assert factor(OneCycle(rise=0.3), 90, TOTAL) == pytest.approx(1.0)


def test_no_step_of_a_run_is_wasted_on_a_learning_rate_of_0() -> None:
    for config, total in itertools.product((Cosine(), WarmupCosine(), OneCycle()), (1, 2, 7, 300)):
        assert all(factor(config, step, total) > 0 for step in range(total))


@pytest.mark.parametrize("every", [0.1, 0.2, 1 / 3, 0.25])
@pytest.mark.parametrize("total", [30, 60, 300])
def test_step_drops_at_exact_shares_of_the_run(every: float, total: int) -> None:
    config = Step(every=every, gamma=0.1)
    for drops in range(round(1 / every)):
        step = round(drops * every * total)
        if abs(step - drops * every * total) < 1e-6:
            assert factor(config, step, total) == pytest.approx(0.1**drops)
            assert step == 0 or factor(config, step - 1, total) == pytest.approx(0.1 ** (drops - 1))


@pytest.mark.parametrize("config", [config() for config in SCHEDULES.entries()], ids=lambda config: config.name)
@pytest.mark.parametrize("total", [0, 1, 2, 3])
def test_tiny_runs_stay_between_0_and_1(config: ScheduleConfig, total: int) -> None:
    assert all(0 <= factor(config, step, total) <= 1 for step in range(4))
