"""Everything that is printed: JSON documents, tables, and single values in words."""

import io
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelyard.domain.query import Value
from modelyard.domain.run import Run, RunState

STATE_STYLES: dict[RunState, str] = {
    RunState.QUEUED: "dim",
    RunState.RUNNING: "cyan",
    RunState.PAUSING: "yellow",
    RunState.PAUSED: "yellow",
    RunState.STOPPING: "magenta",
    RunState.STOPPED: "magenta",
    RunState.COMPLETED: "green",
    RunState.FAILED: "red",
}
_MISSING = "-"


def console() -> Console:
    """Return a console on standard output; outside a terminal, tables are as wide as they need to be."""
    if sys.stdout.isatty():
        return Console(highlight=False, soft_wrap=False)
    return Console(file=_Unpadded(sys.stdout), width=1000, highlight=False, soft_wrap=False)


class _Unpadded(io.StringIO):
    """Passes text on without the blanks that pad the last column of a table."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    def write(self, text: str) -> int:
        """Write to the file."""
        return self._file.write(re.sub(r" +$", "", text, flags=re.MULTILINE))

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def print_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn a value into what JSON has: times become UTC in ISO 8601, NaN and infinity become null."""
    if isinstance(value, Run):
        return run_json(value)
    if isinstance(value, BaseModel):
        value = value.model_dump()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [plain(item) for item in value]
        return sorted(items) if isinstance(value, set | frozenset) else items
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def run_json(run: Run, *, config: bool = False) -> dict[str, Any]:
    """Return a run as JSON; ``config`` adds its whole config."""
    document = {field.name: plain(getattr(run, field.name)) for field in fields(run) if field.name not in {"spec_json"}}
    return document | {"config": json.loads(run.spec_json)} if config else document


def table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """Return a plain table; columns named in ``right`` are aligned to the right."""
    grid = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return grid


def text(value: Any) -> str:
    """Return a value for a table cell, safe from Rich's markup."""
    return escape(shown(value))


def shown(value: Any) -> str:
    """Say a value in a few characters."""
    if value is None:
        return _MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, datetime):
        return local_time(value)
    return str(value.value if isinstance(value, Enum) else value)


def state_text(run: Run) -> str:
    """Return the run's state in its colour."""
    return f"[{STATE_STYLES[run.state]}]{run.state.value}[/]"


def number(value: float | None) -> str:
    """Return a number with four significant digits, and no exponent for a large one that people read."""
    if value is None:
        return _MISSING
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def config_value(value: Value) -> str:
    """Return a config value in full, as it is written in a sweep file."""
    return _MISSING if value is None else value if isinstance(value, str) else json.dumps(value)


def size(count: int | None) -> str:
    """Return a number of bytes: ``1.5 GiB``."""
    if count is None:
        return "unavailable"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def duration(seconds: float | None) -> str:
    """Return a time span: ``1h 02m``, ``3m 05s``, ``12s``."""
    if seconds is None or not math.isfinite(seconds):
        return _MISSING
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 60}m {whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def local_time(time: datetime | None) -> str:
    """Return a time in the local zone."""
    return _MISSING if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
