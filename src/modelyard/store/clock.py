"""The wall clock, for what people read. Nothing is decided by it: it may jump."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time (UTC, aware)."""
    return datetime.fromtimestamp(time.time(), UTC)
