"""Learning curves in SVG: a line through the means, and around it the band from the lowest to the highest values."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain

from modelyard.api.report.html.elements import Markup, element, joined
from modelyard.api.report.html.frame import Frame, Point, path, picture
from modelyard.api.report.html.scale import Scale, drawable, fit
from modelyard.api.report.html.words import count, number
from modelyard.api.report.model import Curve, Panel, ReportedRun

_MOST_BANDS = 12
"""With more curves, bands would cover each other; the lines go through all extremes instead."""


def draw_panel(panel: Panel, runs: Mapping[str, ReportedRun]) -> Markup:
    """Draw one metric of all runs."""
    x = fit(float(step) for curve in panel.curves for step in curve.steps)
    y = fit(chain.from_iterable((*curve.minimum, *curve.maximum) for curve in panel.curves), log=panel.log)
    heading = element("figcaption", element("b", panel.metric), " ", element("small", _about(panel)))
    if x is None or y is None:
        return element("figure", heading, element("p", "No finite value to draw.", class_="none"))
    frame = Frame(x, y)
    bands = len(panel.curves) <= _MOST_BANDS
    # The best is drawn last, on top of all others.
    curves = [_draw_curve(curve, runs[curve.run_id], frame, bands=bands) for curve in reversed(panel.curves)]
    label = f"{panel.metric} over steps, {count(len(panel.curves), 'run')}"
    thin = None if bands else "thin"
    return element(
        "figure", heading, picture(frame.axes(x_label="step", x_whole=True), *curves, label=label, class_=thin)
    )


def _about(panel: Panel) -> str:
    parts = ["logarithmic"] if panel.log else []
    if any(curve.minimum != curve.maximum for curve in panel.curves) and panel.width > 1:
        how = "mean and range" if len(panel.curves) <= _MOST_BANDS else "lowest and highest"
        parts.append(f"{how} of {panel.width} steps each")
    lost = sum(not drawable(value) for curve in panel.curves for value in curve.mean)
    if lost:
        parts.append(f"{count(lost, 'place')} with NaN or infinity, marked below")
    return ", ".join(parts)


def _draw_curve(curve: Curve, run: ReportedRun, frame: Frame, *, bands: bool) -> Markup:
    title = element("title", f"{run.name}: {_last(curve)}")
    line = _means(curve, frame) if bands else _extremes(curve, frame)
    area = _band(curve, frame) if bands else ""
    return element(
        "g",
        title,
        element("path", class_="band", d=area) if area else None,
        element("path", class_="line", d=path(line)),
        *_lost(curve, frame),
        class_=f"k{run.color} d{run.dash}",
        data_run=run.id,
    )


def _last(curve: Curve) -> str:
    return f"{number(curve.mean[-1])} at step {curve.steps[-1]:,}" if curve.steps else "nothing"


def _means(curve: Curve, frame: Frame) -> list[Point | None]:
    return [frame.at(step, value) for step, value in zip(curve.steps, curve.mean, strict=True)]


def _extremes(curve: Curve, frame: Frame) -> list[Point | None]:
    """Return a line that touches the lowest and the highest value of every bucket, so that no spike is lost."""
    points: list[Point | None] = []
    for step, low, high in zip(curve.steps, curve.minimum, curve.maximum, strict=True):
        points.append(frame.at(step, low))
        if low != high:
            points.append(frame.at(step, high))
    return points


def _band(curve: Curve, frame: Frame) -> str:
    """Return the outline of the band, one piece for each stretch without gaps; empty where there is no range."""
    if all(low == high or low != low for low, high in zip(curve.minimum, curve.maximum, strict=True)):  # noqa: PLR0124
        return ""
    outlines, upper, lower = [], list[Point](), list[Point]()
    for step, low, high in chain(zip(curve.steps, curve.minimum, curve.maximum, strict=True), [(0, math.nan, 0.0)]):
        top, bottom = frame.at(step, high), frame.at(step, _inside(low, frame.y))
        if top is not None and bottom is not None:
            upper.append(top)
            lower.append(bottom)
        elif upper:
            outlines.append(path([*upper, *reversed(lower)], closed=True))
            upper, lower = [], []
    return "".join(outlines)


def _inside(value: float, scale: Scale) -> float:
    """Return a value that a logarithmic axis can show: what is not positive is drawn at its lower end."""
    return scale.low if scale.log and value <= 0 else value


def _lost(curve: Curve, frame: Frame) -> Sequence[Markup]:
    """Mark the steps that have nothing but NaN or infinity, at the lower end."""
    steps = [step for step, value in zip(curve.steps, curve.mean, strict=True) if not drawable(value)]
    places = [frame.at(step, frame.y.low) for step in steps]
    marks = [f"M{point[0] - 3:.1f} {point[1] - 3:.1f}l6 6m0-6l-6 6" for point in places if point is not None]
    return [element("path", class_="lost", d="".join(marks))] if marks else []


def swatch(run: ReportedRun) -> Markup:
    """Draw the run's line as a key."""
    line = element("path", class_="line", d="M1 5H25")
    return element("svg", line, viewBox="0 0 26 10", class_=f"key k{run.color} d{run.dash}", aria_hidden="true")


def legend(runs: Sequence[ReportedRun]) -> Markup:
    """List the keys of the curves; each can be reached with the keyboard and lights its run up."""
    keys = [
        element("li", swatch(run), f" {run.name}{f' ({run.state})' if run.live else ''}", data_run=run.id, tabindex="0")
        for run in runs
    ]
    return element("ul", joined(*keys), class_="legend")
