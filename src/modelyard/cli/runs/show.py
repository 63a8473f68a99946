"""``modelyard runs show``."""

from typing import Annotated, Any

import typer

from modelyard.api.cloning import tuned_spec
from modelyard.api.edits import difference
from modelyard.api.operations import settle
from modelyard.cli.completion import complete_runs
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import (
    config_value,
    console,
    duration,
    local_time,
    number,
    plain,
    print_json,
    run_json,
    size,
    state_text,
    table,
    text,
)
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.control import ControlRecord, worded
from modelyard.domain.query import flatten
from modelyard.domain.run import Run

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Name, id, or the start of an id.",
        show_default=False,
        autocompletion=complete_runs,
    ),
]


def show(ctx: typer.Context, *, run: RunArgument, as_json: Json = False) -> None:
    """Show everything about a run: state and why, config, metrics, requests, checkpoints, fingerprints."""
    with open_home(ctx) as store:
        settle(store)
        found = store.runs.get(run)
        requests = store.controls.history(found.id)
        checkpoints = store.checkpoints.list(found.id)
        artifacts = {name: step for name, (_, step) in store.artifacts.list(found.id).items()}
        tuned = {change.path: change.after for change in difference(found.spec, tuned_spec(store, found))}
    if as_json:
        document: dict[str, Any] = run_json(found, config=True)
        print_json(
            document
            | {"tuned": tuned, "requests": plain(requests), "checkpoints": plain(checkpoints), "artifacts": artifacts}
        )
        return
    out = console()
    out.print(f"[bold]{text(found.name)}[/]  {state_text(found)}  {text(found.why)}")
    out.print(_facts(found))
    _section("Config", _config(found, tuned))
    if found.summary:
        _section("Metrics (last values)", [(name, number(found.summary[name])) for name in sorted(found.summary)])
    if requests:
        _section("Requests", [_request(record) for record in requests])
    if checkpoints:
        _section("Checkpoints", [_checkpoint(checkpoint) for checkpoint in checkpoints])
    if artifacts:
        _section("Artifacts", [(name, f"step {step}") for name, step in artifacts.items()])
    if found.fingerprints:
        _section("Fingerprints", sorted(found.fingerprints.items()))


def _facts(run: Run) -> Any:
    took = None if run.started_at is None else ((run.ended_at or run.updated_at) - run.started_at).total_seconds()
    epochs = "" if run.total_epochs is None else f" of {run.total_epochs}"
    done = f"step {run.step} of {run.total_steps or 'unknown'}, {run.epoch}{epochs} epochs"
    facts = [
        ("id", run.id),
        ("experiment", f"{run.experiment} (project {run.project})"),
        ("progress", f"{done}, attempt {run.attempt}"),
        ("execution", run.how or "not started"),
        ("priority", str(run.priority)),
        ("created", local_time(run.created_at)),
        ("started", local_time(run.started_at)),
        ("ended", local_time(run.ended_at)),
        ("took", duration(took)),
    ]
    if run.shared_steps:
        facts.append(("past", f"first {run.shared_steps:,} steps shared with {run.shared_with}"))
    if run.parent_id:
        facts.append(("parent", run.parent_id))
    if run.warm_start:
        facts.append(("warm start", f"{run.warm_start}{' with optimizer state' if run.inherit_optimizer else ''}"))
    return _pairs(facts)


def _config(run: Run, tuned: dict[str, Any]) -> list[tuple[str, str]]:
    values = flatten(run.spec.model_dump(mode="json"))
    return [
        (path, config_value(value) + (f"  (tuned to {config_value(tuned[path])})" if path in tuned else ""))
        for path, value in values.items()
    ]


def _request(record: ControlRecord) -> tuple[str, str]:
    step = "" if record.applied_step is None else f" at step {record.applied_step}"
    message = f": {record.message}" if record.message else ""
    return local_time(
        record.requested_at
    ), f"{worded(record.op)} by {record.actor}: {record.status.value}{step}{message}"


def _checkpoint(checkpoint: Checkpoint) -> tuple[str, str]:
    tags = ", ".join(sorted(checkpoint.tags)) + (" CORRUPT" if checkpoint.corrupt else "")
    return checkpoint.id, f"step {checkpoint.step}, epoch {checkpoint.epoch}, {size(checkpoint.size)} {tags}"


def _section(title: str, rows: list[tuple[str, str]]) -> None:
    out = console()
    out.print(f"\n[bold]{title}[/]")
    out.print(_pairs(rows))


def _pairs(rows: list[tuple[str, str]]) -> Any:
    grid = table("", "")
    grid.show_header = False
    for name, value in rows:
        grid.add_row(f"  {text(name)}", text(value))
    return grid
