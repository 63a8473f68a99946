"""What ``modelyard plan`` says about the ways to train: a table for each structure, and the time of it all."""

import typer

from modelyard.api.estimating import StructureEstimate, SweepEstimate
from modelyard.cli.output import console, duration, local_time, size, table, text
from modelyard.scheduler.estimates import Option, WallTime

_SHORT_LIST = 3
_UNKNOWN = "-"
_BUSY = 0.5
"""Load per core from which on other programs are told to disturb."""


def print_estimate(estimate: SweepEstimate, *, name: str, cores: int) -> None:
    """Print every structure with what was measured of it, then the estimate."""
    for number, one in enumerate(estimate.structures, start=1):
        typer.echo(f"structure {number}: {_runs(one.runs, name)}{_parameters(one)}")
        if one.differs:
            typer.echo(f"  no stack with those of structure 1: {'; '.join(one.differs)}")
        if one.cannot_stack:
            typer.echo(f"  no stack at all: {one.cannot_stack}")
        _print_options(one)
        for note in one.notes:
            typer.echo(f"  note: {note}")
        if one.measured_at is not None:
            before = "before this plan, " if one.remembered else ""
            typer.echo(f"  measured {before}on {local_time(one.measured_at)}")
    typer.echo(_in_all(estimate))
    if estimate.load is not None and estimate.load > cores * _BUSY:
        typer.echo(
            f"  note: this machine was busy before (load {estimate.load:.1f} on {cores} cores): "
            "training takes longer than that while other programs run"
        )


def _print_options(one: StructureEstimate) -> None:
    grid = table(
        "way",
        "processes",
        "a step of a run",
        "speed",
        "memory each",
        "",
        right=("processes", "a step of a run", "speed"),
    )
    for option in one.estimate.options:
        grid.add_row(
            option.name,
            str(option.processes),
            _UNKNOWN if option.step_seconds is None else _step(option.step_seconds),
            _UNKNOWN if option.speed is None else f"{option.speed:.2f}x",
            _UNKNOWN if option.step_seconds is None else size(option.memory_bytes),
            text(_verdict(option)),
        )
    console().print(grid)


def _verdict(option: Option) -> str:
    if option.compile_seconds is None:
        return option.verdict
    return f"{option.verdict}; compiling took {duration(option.compile_seconds)}"


def _step(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def _runs(numbers: tuple[int, ...], name: str) -> str:
    shown = ", ".join(f"{name}-{number}" for number in numbers[:_SHORT_LIST])
    more = f" and {len(numbers) - _SHORT_LIST} more" if len(numbers) > _SHORT_LIST else ""
    return f"{len(numbers)} run{'s' * (len(numbers) != 1)} ({shown}{more})"


def _parameters(one: StructureEstimate) -> str:
    return "" if one.parameters is None else f" of {one.parameters:,} parameters"


def _in_all(estimate: SweepEstimate) -> str:
    took = f"; measuring took {duration(estimate.probe_seconds)}"
    if estimate.wall_time is None:
        return f"estimate: unavailable, since not every structure could be measured{took}"
    memory = f"{size(estimate.memory_bytes)} of memory for all runs besides what each process takes"
    return f"estimate: {_parts(estimate.wall_time)}; {memory}{took}"


def _parts(time: WallTime) -> str:
    parts = ("start-up", time.start), ("opening data", time.opening), ("training", time.training)
    told = ", ".join(f"{what} {duration(seconds)}" for what, seconds in (*parts, ("evaluation", time.evaluation)))
    return f"{duration(time.total)} ({told})"
