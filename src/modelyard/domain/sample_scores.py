"""Scores of single samples, between 0 and 1, in one byte each: what racing compares."""

import base64
import zlib
from collections.abc import Sequence

import numpy as np

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]
"""[samples], in the order of the data."""

_STEPS = 255


def pack_scores(scores: Sequence[float] | Scores) -> bytes:
    """Return scores as compressed bytes, each rounded to the nearest of 256 steps; one that is not finite is 0."""
    finite = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=0.0, posinf=1.0, neginf=0.0)
    return zlib.compress(np.rint(np.clip(finite, 0, 1) * _STEPS).astype(np.uint8).tobytes())


def scores_text(packed: bytes) -> str:
    """Return packed scores as text, for JSON."""
    return base64.b64encode(packed).decode()


def read_scores(text: str) -> Scores:
    """Return the scores that ``scores_text`` wrote."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8) / _STEPS
