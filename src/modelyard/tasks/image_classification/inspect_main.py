"""``python -m modelyard.tasks.image_classification.inspect_main``: inspects a data set in a process of its own.

Reads one JSON object from standard input: ``{"data": <DataConfig>, "folder": <str or null>, "samples": <pictures of
each class>}``. Writes JSON lines to standard output: any number of ``{"progress": [done, total]}``, then one
``{"report": {...}}`` (a ``DatasetReport`` and, if wanted, ``samples``: PNG pictures in base64 by class) or
``{"error": {"kind": <class of the error>, "message": ...}}``. Ends with the error's exit code, else with 0.
"""

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from modelyard.domain.errors import ConfigError, ModelyardError
from modelyard.domain.parts.data import DataConfig
from modelyard.domain.validation import validate
from modelyard.tasks.image_classification.data import inspect
from modelyard.tasks.image_classification.data.thumbnails import thumbnails

_SECONDS_BETWEEN_LINES = 0.1


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    data: DataConfig
    folder: Path | None = None
    samples: int = 0


class _ProgressLines:
    """Writes progress at most ten times a second, and always the last."""

    def __init__(self) -> None:
        self._written = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._written >= _SECONDS_BETWEEN_LINES:
            self._written = now
            _write({"progress": [done, total]})


def main() -> int:
    """Answer the request on standard input; returns the exit code."""
    try:
        request = _read_request(sys.stdin.read())
        report = inspect(request.data, folder=request.folder, progress=_ProgressLines())
        pictures = {"samples": thumbnails(request.data, request.folder, request.samples)} if request.samples else {}
        _write({"report": report.model_dump(mode="json") | pictures})
    except ModelyardError as error:
        _write({"error": {"kind": type(error).__name__, "message": str(error)}})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the process boundary: the parent must learn of every failure
        traceback.print_exc()
        _write({"error": {"kind": ModelyardError.__name__, "message": f"inspection failed: {error!r}"}})
        return ModelyardError.exit_code
    return 0


def _read_request(text: str) -> _Request:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"the request is not JSON ({error})") from error
    return validate(_Request, value)


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
