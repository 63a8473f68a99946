"""Ways of training the sessions of one process. All pass the same contract suite."""

from collections.abc import Callable

from modelyard.domain.plan import Execution
from modelyard.engine.executors._base import Executor
from modelyard.engine.executors.sliced import Sliced
from modelyard.engine.executors.solo import Solo


def make_executor(execution: Execution) -> Executor:
    """Return the executor for ``execution``."""
    makers: dict[Execution, Callable[[], Executor]] = {Execution.SOLO: Solo, Execution.SLICED: Sliced}
    return makers[execution]()


__all__ = ["Executor", "Sliced", "Solo", "make_executor"]
