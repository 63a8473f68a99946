"""Modelyard: train many, steer live, ship one."""

from typing import TYPE_CHECKING, Any

from modelyard._version import __version__

if TYPE_CHECKING:
    from modelyard.api.experiment import Experiment as Experiment
    from modelyard.api.experiment import train as train
    from modelyard.api.run import Run as Run

__all__ = ["Experiment", "Run", "__version__", "train"]

_HOMES = {"Experiment": "experiment", "Run": "run", "train": "experiment"}


def __getattr__(name: str) -> Any:
    """Import the public classes when they are first used, so that ``import modelyard`` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'modelyard' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only a use of the API pays for it

    return getattr(import_module(f"modelyard.api.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
