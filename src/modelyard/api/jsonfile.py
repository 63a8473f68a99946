"""Reads JSON into plain values, and remembers the line of every key."""

import json
import re

from modelyard.api.document import Document
from modelyard.domain.errors import ConfigError
from modelyard.domain.validation import Path

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{},:]|[^\s][^][{},:\s"]*')


def read_json(text: str, source: str) -> Document:
    """Parse JSON. Raises ``ConfigError`` with file and line: syntax, duplicate keys."""
    if not text.strip():
        raise ConfigError(f"{source}: the file is empty")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{source}:{error.lineno}: not valid JSON: {error.msg}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: nested too deeply") from error
    return Document(value, _find_lines(text, source))


def _find_lines(text: str, source: str) -> dict[Path, int]:
    """Walk over valid JSON. ``path`` is where the next value belongs, ``kinds`` what is open around it."""
    lines: dict[Path, int] = {}
    path: list[str | int] = []
    kinds: list[str] = []
    expects_key = False
    for mark, line in _tokens(text):
        if mark == "{":
            kinds.append("{")
            path.append("")
            expects_key = True
        elif mark == "[":
            kinds.append("[")
            path.append(0)
            expects_key = False
        elif mark in "}]":
            kinds.pop()
            path.pop()
            expects_key = False
        elif mark == ",":
            expects_key = kinds[-1] == "{"
            if isinstance(path[-1], int):
                path[-1] += 1
        elif expects_key:
            path[-1] = json.loads(mark)
            expects_key = False
            if tuple(path) in lines:
                first = lines[tuple(path)]
                raise ConfigError(f"{source}:{line}: the key {path[-1]!r} is given twice; the first is in line {first}")
        if path and mark not in "]},:":
            lines.setdefault(tuple(path[:-1] if mark in "[{" else path), line)
    lines.pop((), None)
    return lines


def _tokens(text: str) -> list[tuple[str, int]]:
    found = []
    line, position = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        found.append((match.group(), line))
    return found
