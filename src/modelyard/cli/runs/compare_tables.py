"""The two tables of ``modelyard runs compare``: a column per run while there are few, a row per run else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.table import Table

from modelyard.api.comparison import Comparison, Line, MetricLine
from modelyard.api.results import Result, ranked
from modelyard.cli.output import STATE_STYLES, config_value, number, table, text
from modelyard.domain.introspection import TAG_FIELDS
from modelyard.domain.query import Value

MOST_BESIDE = 8
_GAP = 2
"""Blanks between two columns."""
_SAME = "="
"""In the place of a value that is the same as the base run's."""


@dataclass(frozen=True)
class _Row:
    name: str
    cells: Sequence[str]
    best: int | None = None
    styles: Sequence[str] = ()
    section: bool = False
    """Whether it ends a part of the table."""


@dataclass(frozen=True)
class Below:
    """A table with a row per run, and what it has no room for."""

    grid: Table
    hidden: str


def beside_each_other(comparison: Comparison, width: int, *, by: str | None, based: bool) -> Table | None:
    """Return a table with a column per run; None if there are too many, or if it is wider than ``width``."""
    if len(comparison.runs) > MOST_BESIDE:
        return None
    headers = ["", *_names(comparison, based=based)]
    rows = list(_rows(comparison, by=by, based=based))
    columns = [
        [header, *(row.cells[place - 1] if place else row.name for row in rows)] for place, header in enumerate(headers)
    ]
    if sum(max(map(cell_len, column)) + _GAP for column in columns) - _GAP > width and len(comparison.runs) > 2:
        return None
    grid = table(*map(text, headers))
    for row in rows:
        grid.add_row(text(row.name), *(_styled(row, index) for index in range(len(comparison.runs))))
        if row.section:
            grid.add_section()
    return grid


def below_each_other(comparison: Comparison, width: int, *, by: str | None, limit: int, based: bool) -> Below:
    """Return a table with a row per run, the best first, and as many columns as fit ``width``."""
    line = next((line for line in comparison.metrics if line.name == by), None)
    order = _order(comparison, line, based=based)
    shown = order[:limit]
    names = _names(comparison, based=based)
    results = [] if line is None else list(_result_rows(line, heads=True))
    fields = [_config_row(config, based=based, short=True) for config in _common_first(comparison.config)]
    common = sum(None not in config.values for config in comparison.config)
    headers = _tails([field.name for field in fields])
    fields = [replace(field, name=header) for field, header in zip(fields, headers, strict=True)]
    columns = [
        _Row("run", names),
        _Row("state", [run.state.value for run in comparison.runs], styles=_states(comparison)),
        *results[:2],
        *fields[:common],
        *results[2:],
        *fields[common:],
    ]
    fitting = _fitting(columns, shown, width)
    grid = table(*(text(column.name) for column in fitting))
    for index in shown:
        grid.add_row(*(_styled(column, index) for column in fitting))
    return Below(grid, _hidden(len(order) - len(shown), len(columns) - len(fitting)))


def _tails(paths: Sequence[str]) -> list[str]:
    """Shorten dotted fields to their last part, where that says which one it is."""
    tails = [path.rpartition(".")[2] for path in paths]
    clear = {tail for tail in tails if tails.count(tail) == 1 and tail not in TAG_FIELDS}
    return [tail if tail in clear else path for path, tail in zip(paths, tails, strict=True)]


def _names(comparison: Comparison, *, based: bool) -> list[str]:
    names = [run.name for run in comparison.runs]
    return [f"{names[0]} (base)", *names[1:]] if based else names


def _rows(comparison: Comparison, *, by: str | None, based: bool) -> Iterator[_Row]:
    yield _Row("state", [run.state.value for run in comparison.runs], styles=_states(comparison))
    yield _Row("execution", [run.how or "-" for run in comparison.runs], section=not comparison.config)
    for config in comparison.config:
        last = config is comparison.config[-1]
        yield _config_row(config, based=based, section=last)
    if not comparison.config:
        yield _Row("configs are equal", [""] * len(comparison.runs), section=True)
    for line in comparison.metrics:
        values = [number(value) if isinstance(value, float) else config_value(value) for value in line.values]
        yield _Row(
            line.name, [f"{cell}*" if place == line.best else cell for place, cell in enumerate(values)], line.best
        )
        if line.top is not None and (line.name == by or _moves(line)):
            yield from _result_rows(line, heads=False)


def _moves(line: MetricLine) -> bool:
    """Whether the best value of any run is not its final one."""
    return any(found is not None and found.best != found.final for found in line.results)


def _result_rows(line: MetricLine, *, heads: bool) -> Iterator[_Row]:
    """Yield the best values, their epochs, and how far they are from the best; ``heads``: they head columns."""
    top = line.top
    place = next((index for index, found in enumerate(line.results) if found is not None and found.best == top), None)
    best = None if top is None else place
    if heads:
        yield _Row(f"best {line.name}", [_best(found) for found in line.results], best)
        yield _Row("epoch", [_epoch(found) for found in line.results])
    else:
        yield _Row("  best (epoch)", [f"{_best(found)} ({_epoch(found)})" for found in line.results], best)
    yield _Row("to the best" if heads else "  to the best", [_distance(found, top) for found in line.results])
    if heads:
        yield _Row("final", [number(found.final) if found is not None else "-" for found in line.results])


def _best(found: Result | None) -> str:
    return number(None if found is None else found.best)


def _epoch(found: Result | None) -> str:
    return "-" if found is None or found.best_epoch is None else str(found.best_epoch)


def _distance(found: Result | None, top: float | None) -> str:
    if found is None or found.best is None or top is None:
        return "-"
    return "0" if found.best == top else f"{found.best - top:+.4g}"


def _common_first(config: Sequence[Line]) -> list[Line]:
    """Put the fields that every run has before those of some models or optimizers alone."""
    return sorted(config, key=lambda line: None in line.values)


def _config_row(config: Line, *, based: bool, section: bool = False, short: bool = False) -> _Row:
    first: Value = config.values[0]
    said = _short_value if short else config_value
    cells = [_SAME if based and index and value == first else said(value) for index, value in enumerate(config.values)]
    return _Row(config.name, cells, section=section)


def _short_value(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else config_value(value)


def _states(comparison: Comparison) -> list[str]:
    return [STATE_STYLES[run.state] for run in comparison.runs]


def _styled(row: _Row, index: int) -> str:
    cell = text(row.cells[index])
    if row.styles:
        return f"[{row.styles[index]}]{cell}[/]"
    return f"[bold green]{cell}[/]" if row.best == index else cell


def _order(comparison: Comparison, line: MetricLine | None, *, based: bool) -> list[int]:
    """Return the places of the runs, the base first, then the best."""
    runs = comparison.runs
    results = (
        {} if line is None else {run.id: one for run, one in zip(runs, line.results, strict=True) if one is not None}
    )
    places = {run.id: index for index, run in enumerate(runs)}
    order = [places[run.id] for run in ranked(runs, results, lowest=line is not None and line.lowest)]
    return [0, *(place for place in order if place != 0)] if based else order


def _fitting(columns: Sequence[_Row], shown: Sequence[int], width: int) -> list[_Row]:
    """Return the columns that fit, from the left; at least two."""
    found: list[_Row] = []
    left = width + _GAP
    for column in columns:
        left -= max(cell_len(column.name), *(cell_len(column.cells[index]) for index in shown)) + _GAP
        if left < 0 and len(found) >= 2:
            break
        found.append(column)
    return found


def _hidden(runs: int, columns: int) -> str:
    parts = [
        f"{amount} more {noun}{'' if amount == 1 else 's'}"
        for amount, noun in ((runs, "run"), (columns, "column"))
        if amount
    ]
    how = [how for amount, how in ((runs, "--limit"), (columns, "a wider terminal")) if amount]
    return f"{' and '.join(parts)} not shown; see {', '.join(how)}, --html or --json" if parts else ""
