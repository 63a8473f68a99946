"""``python -m modelyard.tasks.image_classification.inspect_main``: inspects a data set in a process of its own.

Reads JSON objects from standard input, one a line:
``{"data": <DataConfig>, "folder": <str or null>, "check": <bool>}``
and writes JSON lines to standard output for each: any number of ``{"progress": [done, total]}``, then one
``{"report": {...}}`` (a ``DatasetReport``), or with ``check`` one ``{"opened": {...}}`` (``OpenedData``; nothing is
decoded), or ``{"error": {"kind": <class of the error>, "message": ...}}``. Ends after the first error with its exit
code, else with 0.
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
from modelyard.tasks.image_classification.data.check import check

_SECONDS_BETWEEN_LINES = 0.1


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    data: DataConfig
    folder: Path | None = None
    check: bool = False


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
    """Answer the requests on standard input; returns the exit code."""
    try:
        for line in sys.stdin.read().splitlines() or [""]:
            _write(_answer(_read_request(line)))
    except ModelyardError as error:
        _write({"error": {"kind": type(error).__name__, "message": str(error)}})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the process boundary: the parent must learn of every failure
        traceback.print_exc()
        _write({"error": {"kind": ModelyardError.__name__, "message": f"inspection failed: {error!r}"}})
        return ModelyardError.exit_code
    return 0


def _answer(request: _Request) -> dict[str, Any]:
    if request.check:
        return {"opened": check(request.data, folder=request.folder).model_dump(mode="json")}
    report = inspect(request.data, folder=request.folder, progress=_ProgressLines())
    return {"report": report.model_dump(mode="json")}


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
