"""``modelyard predict``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from modelyard.agent.predictor import Prediction
from modelyard.agent.predictor import predict as predict_files
from modelyard.api.checkpoints import best_or_last
from modelyard.cli.checkpoints import resolve
from modelyard.cli.completion import complete_runs
from modelyard.cli.context import Json, open_home
from modelyard.cli.output import console, plain, print_json, table, text
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.errors import DataError, UserError
from modelyard.store import Store


def predict(
    ctx: typer.Context,
    *,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Image files.", show_default=False)],
    run: Annotated[
        str | None,
        typer.Option("--run", "-r", help="Use this run's best checkpoint.", autocompletion=complete_runs),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", "-c", help="Use this one: its id, or RUN:last, RUN:best, RUN:STEP.")
    ] = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many classes to show for each file.")] = 3,
    as_json: Json = False,
) -> None:
    """Classify image files with a checkpoint; ends with 2 if a file could not be read."""
    if (run is None) == (checkpoint is None):
        raise UserError("say which weights to use: --run RUN or --checkpoint CHECKPOINT")
    with open_home(ctx) as store:
        found = best_or_last(store, store.runs.get(run).id) if run is not None else resolve(store, checkpoint or "")
        predictions = _predict(store, found, files, top)
    unread = [prediction for prediction in predictions if prediction.error is not None]
    if as_json:
        print_json({"checkpoint": found.id, "predictions": plain(predictions)})
        if unread:
            raise typer.Exit(DataError.exit_code)
        return
    grid = table("file", "class", "probability", "next", right=("probability",))
    for prediction in predictions:
        if prediction.error is None:
            grid.add_row(*_cells(prediction))
    console().print(grid)
    if unread:
        raise DataError("\n".join(f"{prediction.file}: {prediction.error}" for prediction in unread))


def _predict(store: Store, checkpoint: Checkpoint, files: Sequence[Path], top: int) -> list[Prediction]:
    """Predict the files that are there; each error is without the file's name."""
    problems = {file: problem for file in files if (problem := _problem(file))}
    there = [file for file in files if file not in problems]
    answers = iter(predict_files(store, checkpoint, there, top=top) if there else ())
    return [
        Prediction(file=str(file), label=None, probabilities={}, error=problems[file])
        if file in problems
        else _without_name(next(answers))
        for file in files
    ]


def _problem(file: Path) -> str:
    if file.is_dir():
        return "is a folder; name the image files in it"
    return "" if file.exists() else "no such file"


def _without_name(prediction: Prediction) -> Prediction:
    if prediction.error is None:
        return prediction
    return replace(prediction, error=prediction.error.removeprefix(f"{prediction.file}: "))


def _cells(prediction: Prediction) -> list[str]:
    ranked = list(prediction.probabilities.items())
    others = ", ".join(f"{label} {share:.1%}" for label, share in ranked[1:])
    first = f"{ranked[0][1]:.1%}" if ranked else "-"
    return [text(prediction.file), text(prediction.label), first, text(others)]
