"""Shell completion of names that are in the home."""

from pathlib import Path
from typing import Any

import typer

from modelyard.domain.errors import ModelyardError
from modelyard.store import open_store


def complete_runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offer the names of runs, with their state."""
    return [(name, help_text) for name, help_text in _names(ctx, experiments=False) if name.startswith(incomplete)]


def complete_targets(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offer the names of runs and experiments."""
    return [(name, help_text) for name, help_text in _names(ctx, experiments=True) if name.startswith(incomplete)]


def _names(ctx: typer.Context, *, experiments: bool) -> list[tuple[str, str]]:
    home: Any = ctx.find_root().params.get("home")
    try:
        with open_store(Path(home) if home else None) as store:
            names = [(run.name, run.state.value) for run in store.runs.list()]
            if experiments:
                names += [(found.name, f"experiment of {found.run_count} runs") for found in store.experiments.list()]
            return names
    except ModelyardError:  # a shell that asks for words has no use for an error
        return []
