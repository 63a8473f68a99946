"""``modelyard init``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelyard.api.presets import DEFAULT, PRESETS
from modelyard.cli.context import Json
from modelyard.cli.init_custom import SWEEP, TASK, TASK_FILE
from modelyard.cli.output import print_json
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import UserError
from modelyard.domain.validation import validate

PresetName = StrEnum("PresetName", {name.upper().replace("-", "_"): name for name in PRESETS})  # type: ignore[misc]
"""A sweep to start from."""
_DEFAULT = PresetName(DEFAULT)


class StartingTask(StrEnum):
    """What a new sweep file trains."""

    IMAGES = "image-classification"
    CUSTOM = "custom"


def init(
    *,
    file: Annotated[Path, typer.Argument(help="File to write.")] = Path("sweep.yaml"),
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with one folder of images per class; default: the digits.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the experiment; default: the file's.")] = None,
    task: Annotated[
        StartingTask, typer.Option("--task", help="What to train; custom also writes my_task.py beside the file.")
    ] = StartingTask.IMAGES,
    preset: Annotated[PresetName, typer.Option("--preset", help="The sweep to start from.")] = _DEFAULT,
    as_json: Json = False,
) -> None:
    """Write a commented sweep file to start from; an existing file is never overwritten."""
    if name is not None:
        validate(SweepSpec, {"name": name}, source="--name")
    chosen = _name(file) if name is None else name
    if task is StartingTask.CUSTOM:
        if data is not None:
            raise UserError("--data is for image classification; a class of your own opens its data by itself")
        if preset != DEFAULT:
            raise UserError("--preset is for image classification; --task custom has a sweep of its own")
        _create(file.with_name(TASK_FILE), TASK)
        text = SWEEP.format(file=file, name=chosen, task_file=TASK_FILE)
    else:
        text = PRESETS[preset].text(file=file, data=data, name=chosen)
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


def _name(file: Path) -> str:
    """Make a valid experiment name from a file's name."""
    word = "".join(character if character.isalnum() or character in "._-" else "-" for character in file.stem.lower())
    word = word.encode("ascii", "ignore").decode().lstrip("._-")[:64]
    return word or "experiment"
