"""torch.optim without torch's compiler, whose import takes longer than that of torch itself.

torch keeps compiled code from tracing into these methods by wrappers that import the compiler at their first call. No
optimizer is compiled here, so the methods are called as they are. Without the names below only time would be lost.
"""

import inspect
from collections.abc import Callable

import torch
from torch.optim import Optimizer

_WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
_STANDS_FOR = "__dynamo_disable"
"""The attribute in which such a wrapper keeps what it calls (torch/_compile.py)."""


def spare_the_compiler() -> None:
    """Have the wrapped methods of every optimizer call what they wrap."""
    for name in _WRAPPED:
        method = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if method is not None and not hasattr(method, _STANDS_FOR):
            setattr(method, _STANDS_FOR, method)


def plain_step(optimizer: Optimizer) -> Callable[[], None]:
    """Return ``optimizer.step`` without its wrappers; hooks on the step are not called."""
    step = inspect.unwrap(type(optimizer).step)

    def take() -> None:
        with torch.no_grad():
            step(optimizer)

    return take
