"""Looks at a data set in a child process: decoding images needs the ``train`` extra."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.agent.child_environment import child_environment
from modelyard.agent.json_child import JsonChild
from modelyard.domain import errors
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ModelyardError, UserError
from modelyard.domain.validation import validate

_MODULE = "modelyard.tasks.image_classification.inspect_main"
_CODE_MODULE = "modelyard.tasks.custom.check_main"
_DIGITS = "digits"
_CANCEL_SECONDS = 0.2


class InspectionCancelledError(ModelyardError):
    """An inspection was given up."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a server looks at data for somebody."""

    samples: int
    """How many pictures of each class are wanted."""
    environment: Mapping[str, str]
    """What the child process has in its environment besides that of this one."""
    is_cancelled: Callable[[], bool]
    """Asked several times a second; the child is ended if so."""


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
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Return the report on a data set as JSON (``tasks.image_classification.data.report.DatasetReport``).

    ``progress(done, total)`` counts images. With ``watch``, ``samples`` of the report are small pictures of each class.
    Raises ``ConfigError``, ``DataError``, ``MissingExtraError``.
    """
    config = validate(RunSpec, {"data": data}).data
    request = {
        "data": config.model_dump(mode="json"),
        "folder": None if folder is None else str(folder),
        "samples": 0 if watch is None else watch.samples,
    }
    return _ask(request, progress, watch)


def check_code(
    requests: Sequence[dict[str, Any]], variables: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield for each ``{"spec": ..., "source": ...}`` what its code opened: ``{"train": n, ..., "metrics": [...]}``.

    ``variables`` are added to its environment. Raises the ``ConfigError`` or ``DataError`` that training would end
    with, as far as a few samples can tell.
    """
    answered = 0
    with JsonChild(_CODE_MODULE, environment=child_environment(variables or {})) as child:
        for request in requests:
            child.send(request)
        child.end_requests()
        for answer in child.answers():
            if "error" in answer:
                raise errors.rebuild(answer["error"]["kind"], answer["error"]["message"])
            answered += 1
            yield answer["opened"]
        if answered < len(requests):
            raise child.failure()


def _ask(request: dict[str, Any], progress: Callable[[int, int], None] | None, watch: Watch | None) -> dict[str, Any]:
    environment = None if watch is None else child_environment(watch.environment)
    with JsonChild(_MODULE, environment=environment) as child:
        child.send(request)
        child.end_requests()
        for answer in child.answers() if watch is None else _watched(child, watch):
            if "progress" in answer and progress is not None:
                progress(*answer["progress"])
            if "error" in answer:
                raise errors.rebuild(answer["error"]["kind"], answer["error"]["message"])
            if "report" in answer:
                report: dict[str, Any] = answer["report"]
                return report
        raise child.failure()


def _watched(child: JsonChild, watch: Watch) -> Iterator[dict[str, Any]]:
    while True:
        if watch.is_cancelled():
            raise InspectionCancelledError("it was cancelled")
        with suppress(TimeoutError):
            answer = child.receive(_CANCEL_SECONDS)
            if answer is None:
                return
            yield answer


def _guess(path: Path) -> str:
    if path.is_file() or any(path.glob("*.parquet")):
        return "parquet"
    if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
        return "huggingface"
    if any(path.glob("*-ubyte*")):
        return "idx"
    return "image-folder"
