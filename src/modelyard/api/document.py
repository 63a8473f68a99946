"""A config file as plain values that know their lines."""

from dataclasses import dataclass
from typing import Any

from modelyard.domain.validation import Path


@dataclass(frozen=True)
class Document:
    """A file as plain values, with ``lines`` from the path of each key or list entry to its line, counted from 1."""

    value: Any
    lines: dict[Path, int]
