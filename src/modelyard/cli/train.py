"""``modelyard train``."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from modelyard.agent.warm_engines import WarmEngines
from modelyard.api.datacheck import check_runs, check_search
from modelyard.api.edits import apply_sweep_edits, parse_edits
from modelyard.api.sweepfile import expand_at, folder_of, read_sweep, resolve_edits
from modelyard.api.training import Resources, create, is_finished
from modelyard.api.who import actor
from modelyard.cli.context import Json, open_home
from modelyard.cli.foreground import ExecutionOption, ProcessesOption, SlotsOption, run_in_foreground, tell_finished
from modelyard.domain.config import SweepSpec
from modelyard.domain.validation import validate

SweepArgument = Annotated[Path, typer.Argument(metavar="SWEEP", help="Sweep file, YAML or JSON.", show_default=False)]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the base run; may be repeated."),
]


def train(
    ctx: typer.Context,
    *,
    sweep: SweepArgument,
    edits: SetOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the experiment.")] = None,
    go_on: Annotated[
        bool,
        typer.Option(
            "--continue", help="Go on with the newest unfinished experiment of this very sweep; none is trained anew."
        ),
    ] = False,
    execution: ExecutionOption = None,
    processes: ProcessesOption = None,
    slots: SlotsOption = None,
    as_json: Json = False,
) -> None:
    """Train every run of a sweep file, live.

    Ctrl-C pauses all runs and says how to resume; pressed again, it ends at once and runs go on from their last
    checkpoint. In a pipe: a line per change and per epoch, or for several short ones.
    """
    spec = load_sweep(sweep, edits=edits, name=name)
    specs = expand_at(spec, str(sweep))
    resources = Resources(execution=execution, processes=processes, slots=slots)
    with WarmEngines(specs, resources.wishes()) as warm:
        check_search(spec, check_runs(spec.name, specs))
        with open_home(ctx) as store:
            experiment = create(store, spec, specs, actor=actor(), go_on=go_on)
            if go_on and is_finished(store, experiment):
                tell_finished(store, experiment, anew=_anew(sweep, edits, name), as_json=as_json)
                return
            run_in_foreground(store, experiment, resources, as_json=as_json, all_of_it=True, warm=warm)


def _anew(sweep: Path, edits: list[str] | None, name: str | None) -> str:
    """Return the command that trains the same from the start."""
    changes = [word for edit in edits or () for word in ("--set", edit)]
    return shlex.join(["modelyard", "train", str(sweep), *changes, *(() if name is None else ("--name", name))])


def load_sweep(path: Path, *, edits: list[str] | None = None, name: str | None = None) -> SweepSpec:
    """Read a sweep file and change its base run and name."""
    spec = read_sweep(path)
    if edits:
        spec = apply_sweep_edits(spec, resolve_edits(parse_edits(edits), folder_of(str(path))))
    if name is not None:
        spec = validate(SweepSpec, {**spec.model_dump(mode="json"), "name": name}, source="--name")
    return spec
