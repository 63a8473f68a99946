"""``modelyard pause``, ``stop``, ``tune`` and ``priority``."""

from collections.abc import Sequence
from typing import Annotated

import typer

from modelyard.api.operations import DEFAULT_TIMEOUT, Outcome, Result, check, request
from modelyard.api.who import actor
from modelyard.cli.completion import complete_targets
from modelyard.cli.context import Json, NoWait, Timeout, open_home
from modelyard.cli.output import print_json
from modelyard.domain.control import ControlOp, Pause, SetPriority, Stop, Tune
from modelyard.domain.errors import UserError
from modelyard.domain.validation import validate

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Runs or experiments: names, ids, or the start of an id.",
        show_default=False,
        autocompletion=complete_targets,
    ),
]


def pause(
    ctx: typer.Context,
    *,
    targets: Targets,
    no_wait: NoWait = False,
    timeout: Timeout = DEFAULT_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Save runs at their next step and give their device back."""
    _ask(ctx, targets, Pause(), timeout=0 if no_wait else timeout, as_json=as_json)


def stop(
    ctx: typer.Context,
    *,
    targets: Targets,
    no_wait: NoWait = False,
    timeout: Timeout = DEFAULT_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Save runs at their next step and end them; `modelyard resume` goes on with them all the same."""
    _ask(ctx, targets, Stop(), timeout=0 if no_wait else timeout, as_json=as_json)


def tune(
    ctx: typer.Context,
    *,
    targets: Targets,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="New base learning rate; the schedule multiplies it.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option("--weight-decay", help="New weight decay.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="New total number of epochs.")] = None,
    no_wait: NoWait = False,
    timeout: Timeout = DEFAULT_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Change hyperparameters of runs while they train."""
    given = {"learning_rate": learning_rate, "weight_decay": weight_decay, "epochs": epochs}
    if not any(value is not None for value in given.values()):
        raise UserError("say what to change: --learning-rate, --weight-decay or --epochs")
    op = validate(Tune, {name: value for name, value in given.items() if value is not None})
    _ask(ctx, targets, op, timeout=0 if no_wait else timeout, as_json=as_json)


def priority(
    ctx: typer.Context,
    *,
    targets: Targets,
    level: Annotated[
        int,
        typer.Option("--level", "-p", help="From -100 to 100; runs with a higher one go first.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Decide which runs are claimed, and take their turns, before others; runs start with 0."""
    _ask(ctx, targets, validate(SetPriority, {"priority": level}), timeout=0, as_json=as_json)


def _ask(ctx: typer.Context, targets: Sequence[str], op: ControlOp, *, timeout: float, as_json: bool) -> None:
    with open_home(ctx) as store:
        outcomes = request(store, targets, op, actor=actor(), timeout=timeout)
    show(outcomes, as_json=as_json)


def show(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Print what became of each request; raises ``ConflictError`` if one was refused."""
    if as_json:
        print_json([outcome_json(outcome) for outcome in outcomes])
        if any(outcome.result in {Result.REFUSED, Result.REJECTED} for outcome in outcomes):
            raise typer.Exit(4)
        return
    for outcome in outcomes:
        if outcome.result in {Result.DONE, Result.PENDING}:
            typer.echo(f"{outcome.run.name}: {outcome.message}")
    check(outcomes)


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """Return what became of one request as JSON."""
    return {
        "run": outcome.run.name,
        "run_id": outcome.run.id,
        "state": outcome.run.state.value,
        "result": outcome.result.value,
        "message": outcome.message,
        "applied_step": outcome.applied_step,
    }
