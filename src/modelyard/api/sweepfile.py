"""Reads a sweep file into a ``SweepSpec`` and its runs; every problem names file and line."""

import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from modelyard.api.jsonfile import read_json
from modelyard.api.search import first_trials
from modelyard.api.snapshot import with_code
from modelyard.api.yamlfile import read_yaml
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError, UserError
from modelyard.domain.search import LEARNING_METHODS
from modelyard.domain.validation import Path as KeyPath
from modelyard.domain.validation import validate
from modelyard.scheduler.search.expand import expand

_PATH_FIELDS = ("data.path", "model.model", "custom.file", "trainer.file")
"""Fields of a run that name a file or folder."""
_MAYBE_PATHS = frozenset({"model.model"})
"""Those that may be the name of something else (an id on a hub): a path only if that folder exists."""


def read_sweep(path: Path | str) -> SweepSpec:
    """Read a YAML or JSON file. Raises ``ConfigError`` (file:line for every problem) or ``UserError`` (no file)."""
    return parse_sweep(_read_text(Path(path)), str(path))


def parse_sweep(text: str, source: str) -> SweepSpec:
    """Parse the text of a sweep file; relative data paths start at the folder of ``source``.

    The search is expanded once, so that a sweep that is returned can be run. Raises ``ConfigError``.
    """
    return parse_runs(text, source)[0]


def parse_runs(text: str, source: str) -> tuple[SweepSpec, tuple[RunSpec, ...]]:
    """Do the same, and return its runs besides, as far as they are known before any has trained."""
    document = read_json(text, source) if source.endswith(".json") else read_yaml(text, source)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{source}:1: a sweep file holds keys such as 'name', 'run' and 'search'")
    _make_paths_absolute(document.value, folder_of(source))
    sweep = validate(SweepSpec, document.value, source=source, lines=document.lines)
    return sweep, expand_at(sweep, source, document.lines)


def sweep_from_mapping(value: Mapping[str, Any]) -> SweepSpec:
    """Read a mapping as a sweep file in the working directory. Raises ``ConfigError``."""
    document = deepcopy(dict(value))
    _make_paths_absolute(document, Path.cwd())
    return validate(SweepSpec, document)


def resolve_edits(edits: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return edits of the base run whose relative paths start at ``folder``, made absolute."""
    sweep = {"search": {"runs": [deepcopy(dict(edits))]}}
    _make_paths_absolute(sweep, folder)
    return sweep["search"]["runs"][0]


def folder_of(source: str) -> Path:
    """Return the absolute folder that a sweep file is in."""
    return Path(os.path.abspath(source)).parent


def expand_at(sweep: SweepSpec, source: str = "", lines: Mapping[KeyPath, int] | None = None) -> tuple[RunSpec, ...]:
    """Expand a sweep into runs, as far as they are known before any has trained, with the digests of the user's code.

    Problems of the search get the file and line of the field they name.
    """
    try:
        if sweep.search.method in LEARNING_METHODS:  # the others are not known yet
            return with_code([trial.spec for trial in first_trials(sweep)])
        return with_code(expand(sweep))
    except ConfigError as error:
        located = [_located(line, source, lines or {}) for line in str(error).splitlines()]
        raise ConfigError("\n".join(located)) from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; 'modelyard init' writes one to start from") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def _make_paths_absolute(sweep: dict[str, Any], folder: Path) -> None:
    """Replace relative paths in the base run and in the search, wherever they are strings."""
    for mapping, key, field in _path_places(sweep):
        value = mapping[key]
        if isinstance(value, str):
            mapping[key] = _absolute(value, folder, field)
        elif isinstance(value, dict) and isinstance(value.get("choice"), list):
            choices = value["choice"]
            value["choice"] = [_absolute(item, folder, field) if isinstance(item, str) else item for item in choices]


def _path_places(sweep: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield mapping, key and field of every place that may hold a path."""
    search = sweep.get("search")
    search = search if isinstance(search, dict) else {}
    listed = search.get("runs")
    flat = [search.get("space"), *(listed if isinstance(listed, list) else [])]
    for field in _PATH_FIELDS:
        part, key = field.split(".")
        yield from ((mapping, field, field) for mapping in flat if isinstance(mapping, dict) and field in mapping)
        for holder in (sweep.get("run"), *flat):
            inner = holder.get(part) if isinstance(holder, dict) else None
            if isinstance(inner, dict) and key in inner:
                yield inner, key, field


def _absolute(value: str, folder: Path, field: str) -> str:
    if not value:
        return value
    path = os.path.normpath(folder / Path(value).expanduser())
    return value if field in _MAYBE_PATHS and not os.path.isdir(path) else path


def _located(problem: str, source: str, lines: Mapping[KeyPath, int]) -> str:
    """Put ``file:line: `` before a problem that starts with a field of the file."""
    prefix = f"{source}: " if source else ""
    best = 0
    for path, line in lines.items():
        dotted = ".".join(str(part) for part in path)
        if best < len(dotted) and (problem == dotted or problem.startswith((f"{dotted}:", f"{dotted}.", f"{dotted} "))):
            best, prefix = len(dotted), f"{source}:{line}: "
    return prefix + problem
