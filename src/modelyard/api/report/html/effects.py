"""Config fields against the result: a scatter for numbers, a strip per value for everything else."""

from collections.abc import Mapping, Sequence

from modelyard.api.report.effects import LEAST_RUNS
from modelyard.api.report.html.elements import Markup, element
from modelyard.api.report.html.frame import Frame, picture
from modelyard.api.report.html.scale import Scale, fit
from modelyard.api.report.html.words import config_value, count, number
from modelyard.api.report.model import Effect, ReportedRun
from modelyard.domain.query import Value

_HEIGHT = 190
_MOST_NAMED = 200
"""With more points, they are drawn in one piece, without a name each."""
_STRIP = 0.3
"""Half of the width over which the points of one category are spread."""
_GOLDEN = 0.6180339887498949


def draw_effect(effect: Effect, metric: str, runs: Mapping[str, ReportedRun]) -> Markup:
    """Draw one varied field."""
    heading = element("figcaption", element("b", effect.field), " ", element("small", say_figure(effect)))
    y = fit(outcome for _, outcome, _ in effect.points)
    if effect.numeric:
        places = [float(value) for value, _, _ in effect.points if value is not None]
        names = None
        x = fit(places, log=effect.log)
    else:
        names, places = _strips([value for value, _, _ in effect.points])
        x = Scale(-0.6, len(names) - 0.4)
    if x is None or y is None:
        return element("figure", heading, element("p", "No finite value to draw.", class_="none"))
    frame = Frame(x, y, _HEIGHT)
    whole = all(isinstance(value, int) for value, _, _ in effect.points)
    axes = frame.axes(x_label=effect.field, x_names=names, x_whole=whole)
    label = f"best {metric} of each run against {effect.field}"
    dots = _dots(effect, places, frame, runs)
    return element("figure", heading, picture(axes, *dots, label=label, height=_HEIGHT))


def say_figure(effect: Effect) -> str:
    """Say how strongly the result goes with the field, and how many runs that is known from."""
    runs = count(len(effect.points), "completed run")
    if len(effect.points) < LEAST_RUNS:
        return f"{runs}: too few for a figure, which needs {LEAST_RUNS}"
    figures = []
    if effect.correlation is not None:
        figures.append(f"rank correlation {effect.correlation:+.2f}")
    if effect.explained is not None:
        figures.append(f"groups by it explain {100 * effect.explained:.0f}% of the variance")
    return ", ".join([*(figures or ["no figure can be given"]), runs])


def _strips(values: Sequence[Value]) -> tuple[list[str], list[float]]:
    """Return the categories in words, and a place for each value: those of one category beside each other."""
    kinds = sorted(set(values), key=lambda value: (isinstance(value, str), config_value(value)))
    places, seen = [], dict.fromkeys(kinds, 0)
    for value in values:
        # Points come best first; steps of the golden ratio spread them without the look of a trend.
        seen[value] += 1
        places.append(kinds.index(value) + _STRIP * (2 * (seen[value] * _GOLDEN % 1) - 1))
    return [config_value(kind) for kind in kinds], places


def _dots(effect: Effect, places: Sequence[float], frame: Frame, runs: Mapping[str, ReportedRun]) -> list[Markup]:
    found = [
        (point, value, outcome, runs[run_id])
        for place, (value, outcome, run_id) in zip(places, effect.points, strict=True)
        if (point := frame.at(place, outcome)) is not None
    ]
    if len(found) > _MOST_NAMED:
        return [element("path", class_="dots", d="".join(f"M{x:.0f} {y:.0f}h0" for (x, y), *_ in found))]
    return [
        element(
            "circle",
            element("title", f"{run.name}: {number(outcome)} at {config_value(value)}"),
            cx=f"{x:.1f}",
            cy=f"{y:.1f}",
            r=4,
            class_=f"dot k{run.color}",
            data_run=run.id,
        )
        for (x, y), value, outcome, run in reversed(found)
    ]
