"""Says single values in a few characters; what is not known reads "unavailable"."""

import json
import math
from datetime import UTC, datetime

from modelyard.domain.query import Value

UNAVAILABLE = "unavailable"


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with a few significant digits: ``0.9861``, ``12,345``, ``1.2e-05``, ``NaN``."""
    if value is None:
        return UNAVAILABLE
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def whole(value: int | None) -> str:
    """Return a whole number: ``12,345``."""
    return UNAVAILABLE if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """Return a share in percent; ``-`` where it is not defined."""
    return "-" if value is None else f"{100 * value:.1f}%"


def config_value(value: Value) -> str:
    """Return a config value as it is written in a sweep file; ``-`` where a config does not have the field."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def duration(seconds: float | None) -> str:
    """Return a time span: ``1h 02m``, ``3m 05s``, ``12s``."""
    if seconds is None:
        return UNAVAILABLE
    whole_seconds = round(seconds)
    if whole_seconds >= 3600:
        return f"{whole_seconds // 3600}h {whole_seconds % 3600 // 60:02d}m"
    return f"{whole_seconds // 60}m {whole_seconds % 60:02d}s" if whole_seconds >= 60 else f"{whole_seconds}s"


def moment(time: datetime) -> str:
    """Return a time; a report travels, so it is in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def count(amount: int, noun: str) -> str:
    """Return ``1 run``, ``2 runs``."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"
