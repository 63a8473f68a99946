"""Ways of training the sessions of one process. All pass the same contract suite."""

from modelyard.domain.plan import Execution
from modelyard.engine.executors._base import Executor
from modelyard.engine.executors.sliced import CHUNK_SECONDS, Sliced
from modelyard.engine.executors.solo import Solo
from modelyard.engine.executors.stacked import Stacked
from modelyard.engine.known_times import KnownTimes


def make_executor(
    execution: Execution | None, *, chunk_seconds: float = CHUNK_SECONDS, known: KnownTimes | None = None
) -> Executor:
    """Return the executor for ``execution``; None measures which way is the fastest for each group of runs.

    ``chunk_seconds`` is the length of a turn where there are turns. What is ``known`` is not measured again.
    """
    match execution:
        case None:
            return Stacked(chunk_seconds, measures=True, known=known)
        case Execution.SOLO:
            return Solo()
        case Execution.SLICED | Execution.COMPILED:
            return Sliced(chunk_seconds)
        case Execution.STACKED:
            return Stacked(chunk_seconds)


__all__ = ["CHUNK_SECONDS", "Executor", "Sliced", "Solo", "Stacked", "make_executor"]
