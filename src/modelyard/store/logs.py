"""The log lines of runs, numbered from 1 in each run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, insert, select

from modelyard.store.database import Database
from modelyard.store.run_rows import key_of
from modelyard.store.schema import log_lines

_TROUBLE = r"(^|[^A-Za-z_])(CRITICAL|FATAL|ERROR|WARNING|WARN|Traceback|[A-Z][A-Za-z]*(Error|Exception|Warning):)"
"""What a line of a warning or an error says, as ``engine.capture`` and Python's own tracebacks write them."""


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of a run's log, without its line break."""

    number: int
    attempt: int
    time: datetime
    text: str


def append(connection: Connection, run_key: int, attempt: int, lines: Sequence[str], *, now: datetime) -> None:
    """Append log lines inside a write transaction that has checked the lease."""
    if not lines:
        return
    newest = connection.execute(select(func.max(log_lines.c.number)).where(log_lines.c.run_key == run_key)).scalar()
    rows = [
        {"run_key": run_key, "number": number, "attempt": attempt, "time": now, "text": _storable(line)}
        for number, line in enumerate(lines, (newest or 0) + 1)
    ]
    connection.execute(insert(log_lines), rows)


class Logs:
    """Reads log lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, run_id: str, *, after: int = 0, limit: int = 1000, trouble: bool = False) -> list[LogLine]:
        """Return up to ``limit`` lines with ``number > after``, in order, or only warnings and errors of them.

        Raises ``NotFoundError``.
        """
        beyond = log_lines.c.number > after
        return self._select(run_id, beyond & _is_trouble() if trouble else beyond, limit)

    def tail(self, run_id: str, count: int) -> list[LogLine]:
        """Return the newest ``count`` lines, in order. Raises ``NotFoundError``."""
        return self._select(run_id, None, count)

    def find(self, run_id: str, text: str, *, after: int = 0, limit: int = 1000) -> list[int]:
        """Return the numbers of up to ``limit`` lines after ``after`` that have ``text``, whatever the case, in order.

        Raises ``NotFoundError``.
        """
        lines = log_lines.c
        with self._database.read() as connection:
            same = (lines.run_key == key_of(connection, run_id)) & (lines.number > after)
            has = lines.text.icontains(text, autoescape=True)
            query = select(lines.number).where(same, has).order_by(lines.number).limit(limit)
            return list(connection.execute(query).scalars())

    def _select(self, run_id: str, condition: ColumnElement[bool] | None, limit: int) -> list[LogLine]:
        """Return the first lines that meet ``condition``, or the last ones if there is none."""
        with self._database.read() as connection:
            lines = log_lines.c
            own = lines.run_key == key_of(connection, run_id)
            query = select(lines.number, lines.attempt, lines.time, lines.text).where(own).limit(limit)
            if condition is None:
                found = connection.execute(query.order_by(lines.number.desc())).all()[::-1]
            else:
                found = connection.execute(query.where(condition).order_by(lines.number)).all()
        return [LogLine(number=row.number, attempt=row.attempt, time=row.time, text=row.text) for row in found]


def _is_trouble() -> ColumnElement[bool]:
    return log_lines.c.text.regexp_match(_TROUBLE)


def _storable(line: str) -> str:
    """Return text that every database takes: PostgreSQL has no NUL, and none stores half a surrogate pair."""
    return line.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
