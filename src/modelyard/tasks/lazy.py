"""Modules imported at their first use: those that take a second and that many processes never need."""

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module; an attribute is looked up in the real one, which is imported then."""

    def __init__(self, name: str) -> None:
        self._name = name

    def load(self) -> None:
        """Import the module now: it will be needed, and this is a better moment than the first use."""
        import_module(self._name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
