"""What can be read of a device while it works."""

from collections.abc import Mapping
from dataclasses import dataclass

FIGURES = ("utilisation", "memory_used", "memory_total", "temperature", "power")
"""What a reading has: a share from 0 to 1, bytes, bytes, degrees Celsius, watts."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read of one device at one moment. A figure that could not be read is not there."""

    figures: Mapping[str, float]
    unavailable: Mapping[str, str]
    """Why each of the other ``FIGURES`` could not be read."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """Something that runs can train on."""

    name: str
    """``cpu``, ``cuda:0``, ``mps``: what torch calls it."""
    platform: str
    """``cpu``, ``cuda``, ``rocm`` or ``mps``."""
    model: str
    unavailable: Mapping[str, str]
    """Why figures could not be read the last time, by figure."""


def all_unavailable(why: str) -> Reading:
    """Return the reading of a device of which nothing could be read."""
    return Reading(figures={}, unavailable=dict.fromkeys(FIGURES, why))
