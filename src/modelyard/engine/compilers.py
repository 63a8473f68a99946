"""Whether ``torch.compile`` can work on this machine; asked without torch, by plans as well as by training."""

import importlib.util
import os
import shutil
from collections.abc import Callable


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def why_not_compiled(
    device: str,
    find: Callable[[str], str | None] = shutil.which,
    has_module: Callable[[str], bool] = _has_module,
) -> str:
    """Return why ``torch.compile`` cannot work for a device (``cpu``, ``cuda``, ``mps``) here; empty if it can."""
    if device == "mps":
        return "torch.compile has no stable support for this device"
    if device != "cpu" and not has_module("triton"):
        return "torch.compile needs triton, which is not installed"
    named = os.environ.get("CXX")
    if not any(find(name) for name in ([named] if named else ["g++", "clang++", "c++"])):
        return "torch.compile needs a C++ compiler, and there is none"
    return ""
