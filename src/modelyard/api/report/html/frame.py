"""The frame of a chart in SVG: axes with ticks and grid lines, and the places of values in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.api.report.html.elements import Markup, element, joined
from modelyard.api.report.html.scale import Scale, tick_label

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 8, 36
_LONGEST_LABEL = 14

Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """A chart's area; ``y`` grows upwards."""

    x: Scale
    y: Scale
    height: int = HEIGHT

    def at(self, x: float, y: float) -> Point | None:
        """Return the place of a point in the picture; None if an axis cannot show it."""
        across, up = self.x.place(x), self.y.place(y)
        if across is None or up is None:
            return None
        return self.across(across), self.height - BOTTOM - up * (self.height - TOP - BOTTOM)

    def across(self, share: float) -> float:
        """Return the x in the picture of a share of the axis."""
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def axes(self, *, x_label: str, x_names: Sequence[str] | None = None, x_whole: bool = False) -> Markup:
        """Draw grid, ticks and labels.

        ``x_names`` name the places 0, 1, ... of categories; ``x_whole`` says that only whole numbers make sense.
        """
        bottom = self.height - BOTTOM
        parts = [element("path", class_="frame", d=f"M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}")]
        for tick in self.y.ticks():
            share = self.y.place(tick)
            assert share is not None
            y = bottom - share * (bottom - TOP)
            parts.append(element("path", class_="grid", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}"))
            parts.append(text(LEFT - 5, y + 3.5, tick_label(tick), anchor="end"))
        ticks = [tick for tick in self.x.ticks() if not x_whole or tick.is_integer()]
        marks = [(tick, tick_label(tick)) for tick in ticks] if x_names is None else list(enumerate(x_names))
        for value, label in marks:
            share = self.x.place(value)
            assert share is not None
            x = self.across(share)
            parts.append(element("path", class_="grid", d=f"M{x:.1f} {bottom}v4"))
            parts.append(text(x, bottom + 16, shortened(label)))
        parts.append(text((LEFT + WIDTH - RIGHT) / 2, self.height - 5, x_label, class_="axis"))
        return joined(*parts)


def text(x: float, y: float, content: str, *, anchor: str = "middle", class_: str | None = None) -> Markup:
    """Write text into a picture."""
    return element("text", content, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=class_)


def picture(*parts: Markup, label: str, height: int = HEIGHT, class_: str | None = None) -> Markup:
    """Return a picture; ``label`` says to those who cannot see it what it shows."""
    return element("svg", *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=label, class_=class_)


def path(points: Sequence[Point | None], *, closed: bool = False) -> str:
    """Return path data through points in tenths, each relative to the one before; None interrupts the line."""
    written: list[str] = []
    last: tuple[int, int] | None = None
    for point in points:
        if point is None:
            last = None
            continue
        here = round(point[0] * 10), round(point[1] * 10)
        if last is None:
            # A line to itself: a single point is shown as a dot by its round ends.
            written.append(f"M{_tenths(here[0])} {_tenths(here[1])}l0 0")
        else:
            x, y = here[0] - last[0], here[1] - last[1]
            written.append(f"{'' if y < 0 else ' '}".join((f"{'' if x < 0 else ' '}{_tenths(x)}", _tenths(y))))
        last = here
    return "".join(written) + ("z" if closed and written else "")


def shortened(label: str) -> str:
    """Cut a label that would run into its neighbours."""
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _tenths(value: int) -> str:
    """Write tenths with as few characters as there are: ``12``, ``.5``, ``-.5``."""
    whole, tenth = divmod(abs(value), 10)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole or ''}.{tenth}" if tenth else f"{sign}{whole}"
