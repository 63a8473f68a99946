"""The numbers that a benchmark prints are the ones that it measured."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def table(bench_module: Callable[[str], ModuleType]) -> ModuleType:
    return bench_module("_table")


def test_a_spread_is_the_median_with_both_ends(table: ModuleType) -> None:
    assert str(table.Spread.of([3.0, 1.0, 10.0])) == "3.00 (1.00 .. 10.0)"
    assert str(table.Spread.of([0.003]).scaled(1000)) == "3.00"
    with pytest.raises(ValueError, match="at least one"):
        table.Spread.of([])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12345.6, "12,346"),
        (999.4, "999"),
        (99.51, "99.5"),
        (0.01234, "0.0123"),
        (-2.5, "-2.50"),
        (1e-6, "1.00e-06"),
    ],
)
def test_numbers_have_three_significant_digits(table: ModuleType, value: float, text: str) -> None:
    assert table.number(value) == text


def test_sides_take_turns_and_their_ratio_is_by_round(table: ModuleType) -> None:
    order: list[str] = []
    values = iter([0.0, 0.0, 1.0, 2.0, 10.0, 30.0])

    def side(name: str) -> float:
        order.append(name)
        return next(values)

    spreads, rounds = table.alternating({"a": lambda: side("a"), "b": lambda: side("b")}, rounds=2)
    assert order == ["a", "b"] * 3
    assert spreads["a"].median == 5.5
    assert table.ratio(rounds["b"], rounds["a"]).median == 2.5


def test_the_section_says_what_was_measured_where_and_how(table: ModuleType, tmp_path: Path) -> None:
    section = table.Table(title="Speed", columns=["side", "seconds"], packages=["pytest", "no-such-package"])
    section.row("ours", table.Spread.of([1.0, 2.0, 3.0]))
    section.note("we lose at 3")
    text = section.markdown()
    assert "| ours | 2.00 (1.00 .. 3.00) |" in text
    assert "- we lose at 3" in text
    assert f"pytest {pytest.__version__}" in text
    assert "no-such-package not installed" in text
    with pytest.raises(ValueError, match="2 columns, but the row has 1"):
        section.row("alone")
