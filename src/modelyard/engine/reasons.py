"""Why a run that trained ends its turn by itself; and when a change is worth telling."""

from modelyard.domain.events import ExecutionChanged
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.engine.progress import Progress


def end_of(progress: Progress) -> tuple[RunState, Reason]:
    """Return what becomes of a run that has nothing to do before somebody decides about it."""
    if progress.at_rung:
        message = f"waits at epoch {progress.epoch} for the search"
        return RunState.PAUSED, Reason(code=ReasonCode.RUNG, message=message)
    if progress.stopped_early:
        message = "ended early: no further improvement"
        return RunState.COMPLETED, Reason(code=ReasonCode.EARLY_STOPPED, message=message)
    return RunState.COMPLETED, Reason(code=ReasonCode.FINISHED, message=f"all {progress.epochs} epochs done")


def is_news(now: ExecutionChanged, before: ExecutionChanged) -> bool:
    """Whether a run trains in another way, or was found to train best in this one; not each change of numbers."""
    return (now.execution, bool(now.reason)) != (before.execution, bool(before.reason))
