"""Prints values as YAML that ``yamlfile`` reads back as the same values."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][\w./+-]*", re.ASCII)
"""Texts that need no quotes, unless they mean something else."""
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_ESCAPED = {'"': '"', "\\": "\\", "\n": "n", "\t": "t"}
LONGEST = 80
"""A list or mapping is written on one line as long as it is no longer than this."""


def flow(value: Any) -> str:
    """Print a value on one line: ``{name: adamw, betas: [0.9, 0.99]}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def block(value: Any, indent: int = 0) -> str:
    """Print a value as it stands behind ``key:``, with the space or the line break before it, without one at its end.

    Mappings that hold others, or are long, have a line for each key, ``indent`` spaces from the left.
    """
    line = flow(value)
    nested = isinstance(value, Mapping) and any(isinstance(item, Mapping) and item for item in value.values())
    if not isinstance(value, Mapping) or not value or (not nested and len(line) <= LONGEST):
        return f" {line}"
    return "".join(f"\n{' ' * indent}{_text(key)}:{block(item, indent + 2)}" for key, item in value.items())


def document(value: Mapping[str, Any]) -> str:
    """Print a whole file."""
    return "".join(f"{_text(key)}:{block(item, 2)}\n" for key, item in value.items()) or "{}\n"


def _text(value: str) -> str:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else f'"{"".join(map(_escaped, value))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return f"\\{_ESCAPED[character]}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
