"""The row of one series: the summary of its effective history, and how far it is sealed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, insert, select, update

from modelyard.store import schema
from modelyard.store.metrics.columns import Columns

_VALUES = ("last", "min", "max")


@dataclass(slots=True, eq=False)
class SeriesState:
    """One row of ``series``, changed in memory and written back by ``store``."""

    id: int
    run_key: int
    name: str
    count: int = 0
    first_step: int | None = None
    last_step: int | None = None
    last: float = math.nan
    min: float = math.nan
    max: float = math.nan
    """Minimum and maximum leave NaN out; NaN if there is nothing else."""
    attempt: int = 0
    prior_step: int | None = None
    next_ordinal: int = 0
    tail_count: int = 0
    base_level: int | None = None
    top_level: int | None = None

    @property
    def sealed_count(self) -> int:
        """Points in chunks, those that no longer count included."""
        return self.next_ordinal - self.tail_count

    def add(self, points: Columns) -> None:
        """Take points that all count, and are newer than all others, into the summary."""
        first, last = int(points.steps.min()), int(points.steps.max())
        if self.last_step is None or last >= self.last_step:
            newest = len(points) - 1 - int(np.argmax(points.steps[::-1]))
            self.last, self.last_step = float(points.values[newest]), last
        self.first_step = first if self.first_step is None else min(first, self.first_step)
        self.min = float(np.fmin(self.min, np.fmin.reduce(points.values)))
        self.max = float(np.fmax(self.max, np.fmax.reduce(points.values)))
        self.count += len(points)

    def clear(self) -> None:
        """Forget the summary, to add what counts anew."""
        self.count, self.first_step, self.last_step, self.prior_step = 0, None, None, None
        self.last = self.min = self.max = math.nan


_FIELDS = tuple(field.name for field in fields(SeriesState))
_CHANGING = _FIELDS[3:]
COLUMNS = tuple(schema.series.c[name] for name in _FIELDS)


def from_row(row: Sequence[Any]) -> SeriesState:
    """Build the state from the values of ``COLUMNS``."""
    values = dict(zip(_FIELDS, row, strict=True))
    for name in _VALUES:  # SQLite has no NaN, so it is NULL in every database
        values[name] = math.nan if values[name] is None else values[name]
    return SeriesState(**values)


def load(connection: Connection, run_key: int) -> dict[str, SeriesState]:
    """Read every series of a run; by name."""
    query = select(*COLUMNS).where(schema.series.c.run_key == run_key).order_by(schema.series.c.id)
    return {state.name: state for state in map(from_row, connection.execute(query))}


def create(connection: Connection, run_key: int, names: Iterable[str]) -> None:
    """Insert empty series."""
    rows = [
        {"run_key": run_key, "name": name, "count": 0, "attempt": 0, "next_ordinal": 0, "tail_count": 0}
        for name in names
    ]
    connection.execute(insert(schema.series), rows)


_UPDATE = (
    update(schema.series)
    .where(schema.series.c.id == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)


def store(connection: Connection, states: Iterable[SeriesState]) -> None:
    """Write changed states back."""
    rows = []
    for state in states:
        row: dict[str, Any] = {f"new_{name}": getattr(state, name) for name in _CHANGING}
        for name in _VALUES:
            if math.isnan(row[f"new_{name}"]):
                row[f"new_{name}"] = None
        rows.append({"key": state.id, **row})
    if rows:
        connection.execute(_UPDATE, rows)
