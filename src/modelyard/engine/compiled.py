"""A learner's forward and backward passes by ``torch.compile``, in a way that every process repeats bit for bit.

torch's compiler is imported by the first step and not before: that takes seconds.
"""

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from modelyard.engine.random_state import RandomState
from modelyard.tasks.base import Model
from modelyard.tasks.nested import Nested, leaves

_CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""Where the compiler keeps its code. Who sets it shares that between processes."""

Forward = Callable[[Model, Nested], Nested]


class Compiled:
    """Computes outputs by compiled code for inputs of one shape, and all others as without it.

    That shape is the one of a run's first batch and part of its state. The compiler would go on to code for any shape
    once it has seen two, so that what a step computes would depend on what its process saw before.
    """

    def __init__(self, shapes: Sequence[Sequence[int]] | None = None) -> None:
        self.shapes = None if shapes is None else [list(shape) for shape in shapes]
        """The shape of each tensor of the inputs that are computed by compiled code; None before the first step."""
        self.unproven = True
        """Whether the next step may have to compile, so that it may fail for that."""
        self.folder: Path | None = None
        """Where temporary files go; by default the system's folder for them."""
        self._code: Forward | None = None

    def forward(self, plain: Forward, model: nn.Module, inputs: Nested) -> Nested:
        """Return what ``plain(model, inputs)`` does."""
        shapes = [list(tensor.shape) for tensor in leaves(inputs)]
        if self.shapes is None:
            self.shapes = shapes
        if shapes != self.shapes:
            return plain(model, inputs)
        if self._code is None:
            _prepare_compiler(self.folder)
            # In one piece or not at all: what is left over of a model depends on the version of Python, too.
            self._code = torch.compile(plain, dynamic=False, fullgraph=True)
        return self._code(model, inputs)

    def attempt(self, work: Callable[[], None], model: nn.Module, device: torch.device) -> str:
        """Do ``work``, which may have to compile. If that fails, undo it and return why.

        What is undone are the random numbers that were drawn and the buffers of the model; gradients are left.
        """
        random = RandomState.capture(device)
        buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        try:
            with warnings.catch_warnings(action="ignore"):  # the compiler's own, about itself
                work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again where it was not the compiler
            random.restore(device)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
            return f"torch.compile failed: {_first_line(error)}"
        self.unproven = False
        return ""


def _prepare_compiler(folder: Path | None) -> None:
    """Set what keeps compiled code the same in every process, and out of the way of other users of this machine."""
    import torch._dynamo.config as tracing  # noqa: PLC0415 - seconds; only for runs that are compiled
    import torch._functorch.config as differentiating  # noqa: PLC0415
    import torch._inductor.config as generating  # noqa: PLC0415

    if _CACHE not in os.environ:
        # Of this process alone: what one that was killed was writing must not be taken for whole.
        os.environ[_CACHE] = tempfile.mkdtemp(prefix="compiled-", dir=folder)
        atexit.register(shutil.rmtree, os.environ[_CACHE], ignore_errors=True)
    generating.compile_threads = 1  # no more processes beside this one
    generating.deterministic = torch.are_deterministic_algorithms_enabled()  # no choice of kernels by their speed
    generating.fx_graph_cache = False  # both would load pickles
    differentiating.enable_autograd_cache = False
    tracing.recompile_limit = tracing.accumulated_recompile_limit = 10_000  # beyond that it would stop compiling


def _first_line(error: Exception) -> str:
    """Return what went wrong; the compiler puts advice for its own developers below."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    if lines and lines[0].endswith(("raised:", ":")) and len(lines) > 1:
        return f"{name}: {lines[1]}"
    return f"{name}: {lines[0]}" if lines else name
