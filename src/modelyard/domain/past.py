"""Which runs may begin with the same steps, told from their configs alone: a key that such runs share."""

import hashlib
from typing import Any

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.parts.schedules import Constant, Step

_ENDS = frozenset({"epochs", "early_stopping", "max_retries"})
"""Fields of ``training`` that let runs part later, and change nothing before."""


def past_key(spec: RunSpec) -> str:
    """Return 16 hexadecimal digits; empty for a run that shares its steps with no other.

    Runs with the same key differ only in what lets them part later: the number of epochs, early stopping, and the
    schedule where it may begin alike. They measure, log and keep the same, so that one's history can be the other's.
    """
    if spec.trainer is not None:  # its own loop decides what a step is
        return ""
    parts = spec.model_dump(mode="json", exclude={"schedule": True, "training": set(_ENDS)})
    text = canonical_json({**parts, "beginning": _beginning(spec)})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _beginning(spec: RunSpec) -> Any:
    """Return what decides the first learning rates: all others depend on where in the whole run a step is."""
    if isinstance(spec.schedule, Constant | Step):
        return "flat"
    return [spec.training.epochs, spec.schedule.model_dump(mode="json", exclude={"final"})]
