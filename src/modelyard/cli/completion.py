"""Shell completion of names that are in the home."""

from pathlib import Path
from typing import Any

import typer

from modelyard.domain.errors import ModelyardError
from modelyard.store import open_store


def complete_runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offer the names of runs, with their state."""
    return _matching(incomplete, _names(ctx, runs=True))


def complete_experiments(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offer the names of experiments, with how many runs they have."""
    return _matching(incomplete, _names(ctx, experiments=True))


def complete_targets(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offer the names of runs and experiments."""
    return _matching(incomplete, _names(ctx, runs=True, experiments=True))


def _matching(incomplete: str, names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, about) for name, about in names if name.startswith(incomplete)]


def _names(ctx: typer.Context, *, runs: bool = False, experiments: bool = False) -> list[tuple[str, str]]:
    home: Any = ctx.find_root().params.get("home")
    names: list[tuple[str, str]] = []
    if not Path(home or "~/.modelyard").expanduser().exists():
        return names  # pressing the tab key makes no home
    try:
        with open_store(Path(home) if home else None) as store:
            if runs:
                names += [(run.name, run.state.value) for run in store.runs.list()]
            if experiments:
                names += [(found.name, f"experiment of {found.run_count} runs") for found in store.experiments.list()]
    except ModelyardError:  # a shell that asks for words has no use for an error
        return []
    return names
