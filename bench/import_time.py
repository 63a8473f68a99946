"""Measures what a user waits for before anything happens: ``import modelyard`` and ``modelyard --help``.

    python bench/import_time.py [--repeat 15]

Writes bench/results/import.md. Every sample is a fresh process; the empty interpreter is measured beside it.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "import.md"
GOAL_MS = 300
CASES: dict[str, Sequence[str]] = {
    "python (nothing)": ["-c", "pass"],
    "import modelyard": ["-c", "import modelyard"],
    "modelyard --help": ["-m", "modelyard.cli.main", "--help"],
    "modelyard --version": ["-m", "modelyard.cli.main", "--version"],
    "modelyard runs list (empty home)": ["-m", "modelyard.cli.main", "--home", "{home}", "runs", "list"],
    "from modelyard import train": ["-c", "from modelyard import train"],
}


def main() -> None:
    """Measure all cases in turns, so that a noisy moment hits each of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=15)
    repeat = parser.parse_args().repeat
    samples: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as home:
        for turn in range(repeat + 1):
            for name, arguments in CASES.items():
                took = measure([argument.format(home=home) for argument in arguments])
                if turn:  # the first turn fills the file cache
                    samples[name].append(took)
    lines = report(samples, repeat)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def measure(arguments: Sequence[str]) -> float:
    """Return how many milliseconds a fresh interpreter takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1000


def report(samples: dict[str, list[float]], repeat: int) -> list[str]:
    """Return a table of medians and quartiles."""
    lines = [
        "# Start-up time",
        "",
        f"Milliseconds, {repeat} fresh processes each, in turns; Python {platform.python_version()}. "
        f"The goal for the first two of Modelyard's rows is {GOAL_MS} ms.",
        "",
        "| what | median | quartiles | above the empty interpreter |",
        "|---|---:|---:|---:|",
    ]
    base = statistics.median(samples["python (nothing)"])
    for name, values in samples.items():
        low, median, high = statistics.quantiles(values, n=4)
        lines.append(f"| `{name}` | {median:.0f} | {low:.0f} - {high:.0f} | {median - base:.0f} |")
    return lines


if __name__ == "__main__":
    main()
