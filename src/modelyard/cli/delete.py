"""``modelyard delete``."""

import typer

from modelyard.api.operations import settle
from modelyard.api.targets import Target, find_target
from modelyard.api.who import actor
from modelyard.cli.context import Json, Yes, open_home
from modelyard.cli.control import Targets
from modelyard.cli.output import print_json, size
from modelyard.domain.errors import ConflictError, UserError
from modelyard.domain.run import ACTIVE
from modelyard.store import Store


def delete(ctx: typer.Context, *, targets: Targets, yes: Yes = False, as_json: Json = False) -> None:
    """Delete runs, or experiments with all their runs: configs, metrics, logs and checkpoints.

    Nothing is deleted while one of the runs is in training. Files that other runs need too stay.
    """
    with open_home(ctx, spend_reserve=True) as store:
        settle(store)
        found = {_key(target): target for target in (find_target(store, ref) for ref in targets)}
        delete_targets(store, list(found.values()), yes=yes, as_json=as_json)


def delete_targets(store: Store, targets: list[Target], *, yes: bool, as_json: bool) -> None:
    """Ask for confirmation and delete, the runs before the experiments."""
    active = [run.name for target in targets for run in target.runs if run.state in ACTIVE]
    if active:
        raise ConflictError(f"in training: {', '.join(active)}; stop first: modelyard stop {' '.join(active)}")
    words = [_words(target) for target in targets]
    if not yes:
        if as_json:
            raise UserError("--json cannot ask for confirmation; add --yes")
        own = store.gc.footprint([run.id for target in targets for run in target.runs]).own
        typer.confirm(f"Delete {', '.join(words)}? It frees {size(own)} of files and cannot be undone", abort=True)
    freed = 0
    for target in sorted(targets, key=lambda target: target.experiment is not None):
        if target.experiment is None:
            freed += store.runs.delete(target.runs[0].id, actor=actor()).freed_bytes
        else:
            freed += store.experiments.delete(target.experiment.id, actor=actor()).freed_bytes
    if as_json:
        print_json({"deleted": [_name(target) for target in targets], "freed_bytes": freed})
    else:
        typer.echo(f"deleted {', '.join(words)}; {size(freed)} of files are free")


def _key(target: Target) -> str:
    return target.runs[0].id if target.experiment is None else target.experiment.id


def _name(target: Target) -> str:
    return target.runs[0].name if target.experiment is None else target.experiment.name


def _words(target: Target) -> str:
    if target.experiment is None:
        return f"run {_name(target)}"
    return f"experiment {_name(target)} with {len(target.runs)} run{'s' if len(target.runs) != 1 else ''}"
