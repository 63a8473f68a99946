"""How people and rows name things: new ids, and help with a mistyped name."""

import difflib
import secrets
from collections.abc import Iterable

MIN_PREFIX = 4
"""The shortest beginning of an id that is looked up."""


def new_id() -> str:
    """Return a random id: 16 hex digits. Its first few tell the things of one home apart."""
    return secrets.token_hex(8)


def did_you_mean(ref: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known name that is closest to ``ref``, or nothing."""
    close = difflib.get_close_matches(ref, list(dict.fromkeys(known)), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
