"""Tables that are read as tables, also aloud and on a narrow screen."""

from collections.abc import Collection, Sequence

from modelyard.api.report.html.elements import Child, Markup, element

Cells = Sequence[Child]


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Cells],
    *,
    right: Collection[int] = (),
    wrapped: Collection[int] = (),
    run_ids: Sequence[str] | None = None,
) -> Markup:
    """Return a table whose first column heads its rows.

    Columns in ``right`` are aligned to the right, those in ``wrapped`` may break lines; ``run_ids`` name the run of
    each row, which lights up with it.
    """
    heads = [
        element("th", column, scope="col", class_=_align(index, right, ())) for index, column in enumerate(columns)
    ]
    body = []
    for number, cells in enumerate(rows):
        first, *others = cells
        inner = [element("th", first, scope="row", class_=_align(0, right, wrapped))]
        inner += [
            element("td", cell, class_=_align(index, right, wrapped)) for index, cell in enumerate(others, start=1)
        ]
        body.append(element("tr", *inner, data_run=None if run_ids is None else run_ids[number]))
    whole = element(
        "table",
        element("caption", title),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=title)


def facts(rows: Sequence[tuple[str, Child]]) -> Markup:
    """Return names and values beneath each other."""
    parts = [element("div", element("dt", name), element("dd", value)) for name, value in rows]
    return element("dl", *parts)


def _align(index: int, right: Collection[int], wrapped: Collection[int]) -> str | None:
    return "r" if index in right else "w" if index in wrapped else None
