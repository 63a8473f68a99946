"""The table every benchmark prints: medians with their spread, the machine, the date and how to run it again.

A benchmark is a script, ``python bench/<name>.py``, so its own folder is on the path:
``from _table import Table, timed``.
"""

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What was measured, over several rounds: the median, and the smallest and largest value."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise one value per round. Raises ``ValueError`` if there is none."""
        if not values:
            raise ValueError("a spread needs at least one measured value")
        return cls(median=statistics.median(values), low=min(values), high=max(values), rounds=len(values))

    def scaled(self, factor: float) -> "Spread":
        """Return the spread in another unit: ``Spread.of(seconds).scaled(1000)`` is in milliseconds."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Spread(median=self.median * factor, low=low, high=high, rounds=self.rounds)

    def __str__(self) -> str:
        if self.rounds == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)} .. {number(self.high)})"


def timed(action: Callable[[], object], *, rounds: int = 5, warmup: int = 1) -> Spread:
    """Call ``action`` and return its wall-clock seconds per call."""
    for _ in range(warmup):
        action()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return Spread.of(seconds)


def alternating(
    sides: dict[str, Callable[[], float]], *, rounds: int = 5, warmup: int = 1
) -> tuple[dict[str, Spread], dict[str, list[float]]]:
    """Measure several sides in turn, so that a slow minute of the machine hits all of them.

    Each side returns its own measured value. Returns the spread of each, and the raw values by round (for ratios).
    """
    for _ in range(warmup):
        for side in sides.values():
            side()
    values: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            values[name].append(side())
    return {name: Spread.of(measured) for name, measured in values.items()}, values


def ratio(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Return ``values / base`` round by round: what a side costs as a multiple of the base."""
    return Spread.of([value / reference for value, reference in zip(values, base, strict=True)])


def number(value: float) -> str:
    """Write ``value`` with three significant digits, and thousands with commas."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def machine(*packages: str) -> str:
    """Describe where a benchmark ran: processor, cores, memory, Python and the versions of ``packages``."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        *(f"{package} {_version(package)}" for package in packages),
    ]
    return "; ".join(parts)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@dataclass(kw_only=True)
class Table:
    """Rows of one benchmark. ``packages`` are named with their versions below the table."""

    title: str
    columns: Sequence[str]
    packages: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def row(self, *cells: object) -> None:
        """Add a row; numbers and spreads are written with three significant digits."""
        if len(cells) != len(self.columns):
            raise ValueError(f"the table has {len(self.columns)} columns, but the row has {len(cells)} cells")
        self.rows.append([_cell(cell) for cell in cells])

    def note(self, text: str) -> None:
        """Add a sentence below the table: what was left out, where we lose."""
        self.notes.append(text)

    def markdown(self) -> str:
        """Return the whole section: title, table, notes, machine, date and command."""
        widths = [
            max(len(row[column]) for row in [list(self.columns), *self.rows]) for column in range(len(self.columns))
        ]

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

        head = [line(list(self.columns)), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        foot = [
            "Median (smallest .. largest). Measured on " + machine(*self.packages) + f"; {now}; `{_command()}`.",
        ]
        body = "\n".join([*head, *(line(row) for row in self.rows)])
        return f"## {self.title}\n\n{body}\n\n" + "\n".join([*(f"- {note}" for note in self.notes), "", *foot]) + "\n"

    def finish(self, name: str, *, write: bool | None = None) -> None:
        """Print the section; with ``--write`` on the command line (or ``write``) also keep it in ``bench/results``."""
        text = self.markdown()
        print(text)
        if write if write is not None else "--write" in sys.argv:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.md").write_text(text)


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return number(value)


def _command() -> str:
    script = Path(sys.argv[0])
    place = f"bench/{script.name}" if script.parent.name == "bench" else script.name
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    return " ".join(["python", place, *arguments])
