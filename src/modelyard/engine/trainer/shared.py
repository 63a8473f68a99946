"""What accelerate keeps for a whole process, kept for each trainer: several take turns here."""

from typing import Any

from accelerate.state import AcceleratorState, GradientState, PartialState

_SHARED = (PartialState, AcceleratorState, GradientState)


class SharedState:
    """The state of accelerate that belongs to one trainer."""

    def __init__(self) -> None:
        self._kept: list[dict[str, Any]] = [{} for _ in _SHARED]

    def restore(self) -> None:
        """Make it accelerate's."""
        for kind, kept in zip(_SHARED, self._kept, strict=True):
            kind._shared_state.clear()
            kind._shared_state.update(kept)

    def capture(self) -> None:
        """Keep accelerate's."""
        self._kept = [dict(kind._shared_state) for kind in _SHARED]
