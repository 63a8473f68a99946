"""Axes and lines: every value is where it should be, whatever the values are."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.api.report.html.curves import draw_panel
from modelyard.api.report.html.frame import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, path
from modelyard.api.report.html.scale import Scale, fit, tick_label
from modelyard.api.report.model import Curve, Panel, ReportedRun

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def absolute(data):
    """Return the pieces of path data as lists of absolute points; the line to itself at each start is left out."""
    pieces = []
    for piece in re.findall(r"M([^M]*)", data):
        start, _, rest = piece.rstrip("z").partition("l0 0")
        x, y = (float(number) for number in start.split())
        points = [(x, y)]
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", rest)]
        for right, down in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + right, y + down
            points.append((x, y))
        pieces.append(points)
    return pieces


@given(st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900)), min_size=1))
def test_a_path_goes_through_its_points(points):
    (drawn,) = absolute(path(points))
    assert len(drawn) == len(points)
    for (x, y), (drawn_x, drawn_y) in zip(points, drawn, strict=True):
        assert (drawn_x, drawn_y) == pytest.approx((x, y), abs=0.0501)


def test_a_path_is_short_and_has_gaps():
    assert path([(1, 2), (1.5, 1), None, (3, 3)]) == "M1 2l0 0 .5-1M3 3l0 0"
    assert path([]) == path([None]) == ""


@given(st.lists(NUMBERS), st.booleans())
def test_every_axis_has_round_ticks_inside(values, log):
    scale = fit(values, log=log)
    if scale is None:
        assert not [value for value in values if abs(value) < 1e150 and (not log or value > 1e-150)]
        return
    assert scale.low < scale.high
    ticks = scale.ticks()
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 12
    for tick in ticks:
        assert -1e-9 <= scale.place(tick) <= 1 + 1e-9
    for value in values:
        place = scale.place(value)
        assert place is None or 0 <= place <= 1


@pytest.mark.parametrize(
    ("low", "high", "log", "labels"),
    [
        (0, 1, False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0, 20_000, False, ["0", "5k", "10k", "15k", "20k"]),
        (1e-4, 0.1, True, ["0.0001", "0.001", "0.01", "0.1"]),
        (0.05, 2.4, True, ["0.05", "0.1", "0.2", "0.5", "1", "2"]),
        (0.91, 0.99, True, ["0.92", "0.94", "0.96", "0.98"]),
        (1e-9, 1e-8, False, ["2e-9", "4e-9", "6e-9", "8e-9", "1e-8"]),
    ],
)
def test_ticks_are_round(low, high, log, labels):
    assert [tick_label(tick) for tick in Scale(low, high, log).ticks()] == labels


def test_the_ends_of_the_axes_are_the_edges_of_the_frame():
    frame = Frame(Scale(0, 10), Scale(1, 100, log=True))
    assert frame.at(0, 1) == (LEFT, HEIGHT - BOTTOM)
    assert frame.at(10, 100) == pytest.approx((WIDTH - RIGHT, TOP))
    assert frame.at(5, 10) == pytest.approx(((LEFT + WIDTH - RIGHT) / 2, (HEIGHT - BOTTOM + TOP) / 2))
    assert frame.at(5, 0) is frame.at(5, math.nan) is frame.at(5, math.inf) is None


def reported(number):
    empty = dict.fromkeys(ReportedRun.__dataclass_fields__)
    return ReportedRun(**{**empty, "id": f"r{number}", "name": f"run-{number}", "color": 0, "dash": 0})


def lines_of(count, curve):
    """Return the points of the last line of a chart with ``count`` runs of the same curve."""
    runs = {f"r{number}": reported(number) for number in range(count)}
    curves = tuple(Curve(run_id=run_id, **curve) for run_id in runs)
    page = draw_panel(Panel(metric="loss", width=8, log=False, curves=curves), runs)
    return absolute(re.findall(r'class="line" d="([^"]*)"', page)[-1])


CURVE = {
    "steps": (8, 16, 24, 32),
    "minimum": (1.0, 1.0, 1.0, 0.5),
    "maximum": (1.0, 9.0, 1.0, 1.0),
    "mean": (1.0, 2.0, 1.0, 0.8),
}


@pytest.mark.parametrize(("count", "reaches_the_spike"), [(12, False), (13, True)])
def test_lines_of_many_runs_reach_the_spikes_that_bands_show_for_few(count, reaches_the_spike):
    (points,) = lines_of(count, CURVE)
    top = HEIGHT - BOTTOM - 0.97 / 1.06 * (HEIGHT - TOP - BOTTOM)
    assert (min(y for _, y in points) < top) == reaches_the_spike


def test_a_line_is_interrupted_where_there_is_nothing_but_nan():
    nan = math.nan
    curve = dict.fromkeys(("minimum", "maximum", "mean"), (1.0, nan, 2.0, 3.0))
    assert [len(piece) for piece in lines_of(1, {"steps": (1, 2, 3, 4), **curve})] == [1, 2]
