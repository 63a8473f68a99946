"""``modelyard init``."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.context import Json
from modelyard.cli.init_custom import SWEEP, TASK, TASK_FILE
from modelyard.cli.output import print_json
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import UserError
from modelyard.domain.validation import validate

_DATA = """\
  data:
    source: {source}{comment}
    val_fraction: 0.2             # held out for validation, if the source has no split of its own
    test_fraction: 0.1            # held out for the final test with the best weights
"""

_TEMPLATE = """\
# A sweep: one base run, and the fields to vary.
#   modelyard plan {file}       says what it makes, and how it would be trained here
#   modelyard train {file}      trains it, live
#   modelyard config schema           lists every field with its meaning

name: {name}

run:
{data}
  model:
    name: mlp                     # mlp, cnn, resnet, vit, huggingface
    hidden_sizes: [64, 64]
    dropout: 0.1

  loss: cross-entropy             # cross-entropy, focal, bce, mse, huber

  optimizer:
    name: adamw                   # sgd, adam, adamw, rmsprop, lion, muon
    learning_rate: 1e-3           # varied below
    weight_decay: 0.01

  schedule:
    name: warmup-cosine           # constant, step, exponential, cosine, warmup-cosine, one-cycle
    warmup: 0.1                   # share of the run

  augment: {augment}                 # none, light, standard, strong, digits, or a list

  metrics: [accuracy, f1_macro]   # measured on the validation and test data

  training:
    epochs: 20
    batch_size: {batch_size}
    early_stopping: {{metric: val_loss, patience: 5}}
    checkpoint: {{every_seconds: 60, keep: 2, metric: val_accuracy}}

  seed: 0                         # initial weights, dropout, augmentation
  data_seed: 0                    # order of the samples; the same in all runs

search:
  method: grid                    # single, grid, list; with samples: random, tpe, cma-es, nsga2
  space:
    optimizer.learning_rate: {{choice: [3e-4, 1e-3, 3e-3]}}
    model.dropout: {{choice: [0.0, 0.2]}}
  # scheduler: asha               # end runs early: asha, pasha, hyperband, median, pbt, racing
"""


class StartingTask(StrEnum):
    """What a new sweep file trains."""

    IMAGES = "image-classification"
    CUSTOM = "custom"


def init(
    file: Annotated[Path, typer.Argument(help="File to write.")] = Path("sweep.yaml"),
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with one folder of images per class; default: the digits.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the experiment; default: the file's.")] = None,
    task: Annotated[
        StartingTask, typer.Option("--task", help="What to train; custom also writes my_task.py beside the file.")
    ] = StartingTask.IMAGES,
    as_json: Json = False,
) -> None:
    """Write a commented sweep file to start from; an existing file is never overwritten."""
    if name is not None:
        validate(SweepSpec, {"name": name}, source="--name")
    chosen = _name(file) if name is None else name
    if task is StartingTask.CUSTOM:
        if data is not None:
            raise UserError("--data is for image classification; a class of your own opens its data by itself")
        _create(file.with_name(TASK_FILE), TASK)
        text = SWEEP.format(file=file, name=chosen, task_file=TASK_FILE)
    else:
        text = template(file, data=data, name=chosen)
    _create(file, text)
    if as_json:
        print_json({"file": str(file), "next": f"modelyard train {file}"})
    else:
        typer.echo(f"wrote {file}; next: modelyard train {file}")


def _create(file: Path, text: str) -> None:
    try:
        _write_new(file, text)
    except FileExistsError as error:
        raise UserError(f"{file} exists; choose another name: modelyard init other.yaml") from error
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from error


def _write_new(file: Path, text: str) -> None:
    """Write a file that must not exist; what could not be written in full is removed."""
    with file.open("x", encoding="utf-8") as opened:
        try:
            opened.write(text)
            opened.flush()
        except OSError:
            file.unlink()
            raise


def template(file: Path, *, data: Path | None, name: str) -> str:
    """Return the text of the file."""
    if data is None:
        source = _DATA.format(source="digits", comment="                # 1,797 small images; needs no download")
        return _TEMPLATE.format(file=file, name=name, data=source, augment="digits", batch_size=64)
    if not data.is_dir():
        raise UserError(f"{data} is not a folder; --data wants a folder with one folder of images per class")
    relative = os.path.relpath(data, file.parent)
    path = f"\n    path: {_quoted(relative)}"
    source = _DATA.format(source="image-folder", comment=f"{path}\n    image_size: 64")
    return _TEMPLATE.format(file=file, name=name, data=source, augment="light ", batch_size=16)


def _name(file: Path) -> str:
    """Make a valid experiment name from a file's name."""
    word = "".join(character if character.isalnum() or character in "._-" else "-" for character in file.stem.lower())
    word = word.encode("ascii", "ignore").decode().lstrip("._-")[:64]
    return word or "experiment"


def _quoted(path: str) -> str:
    """Quote a path for YAML: inside single quotes only the single quote is special."""
    return "'" + path.replace("'", "''") + "'"
