"""A confusion matrix as a picture, and the figures of its classes as a table."""

from modelyard.api.report.html.elements import Markup, element, joined
from modelyard.api.report.html.frame import shortened, text
from modelyard.api.report.html.tables import table
from modelyard.api.report.html.words import count, share, whole
from modelyard.api.report.model import Confusion

_MOST_DRAWN = 30
"""Classes; the matrix of more is told by its largest mistakes."""
_MOST_MISTAKES = 15
_MOST_LISTED = 100
_CELL, _MARGIN = 26, 96
_SHADES, _LIGHT_SHADES = 9, 7


def draw_confusion(confusion: Confusion) -> Markup:
    """Draw one matrix, largest mistakes and classes."""
    samples = sum(figures.support for figures in confusion.classes)
    heading = element("h3", confusion.artifact)
    about = f"{count(samples, 'sample')}, evaluated at step {confusion.step:,}. Rows: true class; columns: predicted."
    drawn = len(confusion.classes) <= _MOST_DRAWN
    sides = joined(_picture(confusion) if drawn else None, _mistakes(confusion), _classes(confusion))
    return joined(heading, element("p", about), element("div", sides, class_="beside"))


def _picture(confusion: Confusion) -> Markup:
    names = [shortened(figures.name) for figures in confusion.classes]
    side = _CELL * len(names)
    parts = []
    for row in range(len(names)):
        y = _MARGIN + row * _CELL
        parts.append(text(_MARGIN - 6, y + _CELL / 2 + 4, names[row], anchor="end"))
        parts += [_cell(confusion, row, column, y) for column in range(len(names))]
        x = _MARGIN + row * _CELL + _CELL / 2 + 4
        turned = {"transform": f"rotate(-90 {x:.0f} {_MARGIN - 6})"}
        parts.append(element("text", names[row], x=f"{x:.0f}", y=_MARGIN - 6, text_anchor="start", **turned))
    size = _MARGIN + side + 2
    label = f"confusion matrix of {len(names)} classes; the table of classes has its figures"
    picture = element("svg", *parts, viewBox=f"0 0 {size} {size}", width=size, role="img", aria_label=label)
    return element("figure", picture, class_="matrix")


def _cell(confusion: Confusion, row: int, column: int, y: float) -> Markup:
    counted, support = confusion.counts[row][column], confusion.classes[row].support
    part = counted / support if support else 0.0
    # Few mistakes among many samples must still be seen: whatever is not zero has a shade.
    shade = 0 if counted == 0 else max(1, round(part * _SHADES))
    kind = "right" if row == column else "wrong"
    x = _MARGIN + column * _CELL
    title = f"{confusion.classes[row].name} taken for {confusion.classes[column].name}: {counted:,} of {support:,}"
    return element(
        "g",
        element("title", title),
        element("rect", x=x, y=y, width=_CELL - 1, height=_CELL - 1, class_=f"{kind} h{shade}"),
        text(x + _CELL / 2, y + _CELL / 2 + 4, _short(counted), class_="deep" if shade > _LIGHT_SHADES else None)
        if counted
        else None,
    )


def _short(counted: int) -> str:
    return str(counted) if counted < 1000 else f"{counted / 1000:.0f}k"


def _mistakes(confusion: Confusion) -> Markup | None:
    names = [figures.name for figures in confusion.classes]
    wrong = [
        (counted, row, column)
        for row, counts in enumerate(confusion.counts)
        for column, counted in enumerate(counts)
        if counted and row != column
    ]
    if not wrong:
        return element("p", "No sample was taken for another class.")
    largest = sorted(wrong, reverse=True)[:_MOST_MISTAKES]
    rows = [
        (names[row], names[column], whole(counted), share(counted / confusion.classes[row].support))
        for counted, row, column in largest
    ]
    title = "Largest mistakes" + (f" ({len(rows)} of {len(wrong)} pairs)" if len(rows) < len(wrong) else "")
    return table(title, ("true class", "taken for", "samples", "of the class"), rows, right=(2, 3))


def _classes(confusion: Confusion) -> Markup:
    found = sorted(confusion.classes, key=lambda figures: (figures.recall is None, figures.recall or 0.0))
    rows = [
        (figures.name, share(figures.recall), share(figures.precision), share(figures.f1), whole(figures.support))
        for figures in found[:_MOST_LISTED]
    ]
    title = "Classes, lowest recall first" + (f" ({len(rows)} of {len(found)})" if len(rows) < len(found) else "")
    return table(title, ("class", "recall", "precision", "F1", "samples"), rows, right=(1, 2, 3, 4))
