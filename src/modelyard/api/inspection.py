"""Looks at a data set in a child process: decoding images needs the ``train`` extra."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelyard.agent.devices import missing_module_error
from modelyard.domain import errors
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ModelyardError, UserError
from modelyard.domain.validation import validate

_MODULE = "modelyard.tasks.image_classification.inspect_main"
_CODE_MODULE = "modelyard.tasks.custom.check_main"
_DIGITS = "digits"


def describe_data(path: str, source: str | None = None) -> dict[str, Any]:
    """Return the ``data`` part of a run for a folder, a file, or the word ``digits``; the source is found by looking.

    Raises ``UserError`` if there is nothing at ``path``.
    """
    if path == _DIGITS and source in (None, _DIGITS) and not Path(path).exists():
        return {"source": _DIGITS}
    folder = Path(path).expanduser().absolute()
    if not folder.exists():
        raise UserError(f"{path}: no such file or folder")
    return {"source": source or _guess(folder), "path": str(folder)}


def inspect_data(
    data: dict[str, Any],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return the report on a data set as JSON (``tasks.image_classification.data.report.DatasetReport``).

    ``progress(done, total)`` counts images. Raises ``ConfigError``, ``DataError``, ``MissingExtraError``.
    """
    config = validate(RunSpec, {"data": data}).data
    request = {
        "data": config.model_dump(mode="json"),
        "folder": None if folder is None else str(folder),
    }
    return next(_ask([request], progress))


def check_data(configs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield for each ``data`` part what training would open: ``{"train": n, "val": n, "test": n, "classes": [...]}``.

    Nothing is decoded. Raises the ``ConfigError`` or ``DataError`` that training would end with.
    """
    yield from _ask([{"data": config, "check": True} for config in configs], None)


def check_code(requests: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield for each ``{"spec": ..., "source": ...}`` the sizes of what its code opened: ``{"train": n, ...}``.

    Raises the ``ConfigError`` or ``DataError`` that training would end with, as far as a few samples can tell.
    """
    yield from _ask(requests, None, module=_CODE_MODULE)


def _ask(
    requests: Sequence[dict[str, Any]], progress: Callable[[int, int], None] | None, *, module: str = _MODULE
) -> Iterator[dict[str, Any]]:
    """Yield the child's answer to each request; one child serves all, since starting it costs most."""
    # A file for its errors, not a pipe: a full pipe that nobody reads yet would stop it for ever.
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        with process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it ended early, and its errors say why
                process.stdin.write("".join(f"{json.dumps(request)}\n" for request in requests))
                process.stdin.close()
            answered = 0
            try:
                for answer in _answers(process, progress):
                    answered += 1
                    yield answer
            except GeneratorExit:  # nobody wants the rest
                process.kill()
                raise
        if answered == len(requests):
            return
        stderr.seek(0)
        text = stderr.read()
    last = text.strip().splitlines()[-1] if text.strip() else "no message"
    raise missing_module_error(text) or ModelyardError(f"the inspection ended unexpectedly: {last}")


def _answers(process: subprocess.Popen[str], progress: Callable[[int, int], None] | None) -> Iterator[dict[str, Any]]:
    for line in _lines(process):
        if "progress" in line and progress is not None:
            progress(*line["progress"])
        if "error" in line:
            raise _rebuild(line["error"]["kind"], line["error"]["message"])
        for kind in ("report", "opened"):
            if kind in line:
                yield line[kind]


def _lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            yield json.loads(line)


def _guess(path: Path) -> str:
    if path.is_file() or any(path.glob("*.parquet")):
        return "parquet"
    if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
        return "huggingface"
    if any(path.glob("*-ubyte*")):
        return "idx"
    return "image-folder"


def _rebuild(kind: str, message: str) -> ModelyardError:
    found = getattr(errors, kind, ModelyardError)
    return found(message) if isinstance(found, type) and issubclass(found, ModelyardError) else ModelyardError(message)
