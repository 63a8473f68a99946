"""Turns an exception into the one reason that a failed run keeps."""

import traceback
from pathlib import Path

import torch

from modelyard.domain.errors import (
    CorruptBlobError,
    NonFiniteLossError,
    OutOfMemoryError,
    SchemaVersionError,
    StorageFullError,
    StoreError,
    UserError,
)
from modelyard.domain.run import Reason, ReasonCode

_ALLOCATION_FAILED = ("can't allocate memory", "not enough memory", "out of memory", "Cannot allocate memory")


def reason_for(error: BaseException) -> Reason:
    """Return why a run failed, with what to do next."""
    if isinstance(error, NonFiniteLossError):
        return Reason(code=ReasonCode.NON_FINITE_LOSS, message=str(error))
    if _is_out_of_memory(error):
        return Reason(
            code=ReasonCode.OUT_OF_MEMORY,
            message="the device has too little memory; lower training.batch_size (and raise training.accumulate), "
            f"or train fewer runs at a time with --slots: {first_line(error)}",
        )
    if isinstance(error, StorageFullError):
        return Reason(code=ReasonCode.STORAGE_FULL, message=f"{first_line(error)}; free some space and resume the run")
    if isinstance(error, UserError):
        return Reason(code=ReasonCode.BAD_INPUT, message=str(error))
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return Reason(code=ReasonCode.ERROR, message=f"{_ended(error)}; raise an error instead, or return")
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return Reason(code=ReasonCode.ERROR, message=f"{type(error).__name__}: {first_line(error)}{notes}")


def _ended(error: BaseException) -> str:
    """Say where code of the user's own wanted to end the process."""
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-1:]]
    where = [*(getattr(error, "__notes__", None) or place), "its code"][0]
    return f"{where} ended the process by {type(error).__name__}({', '.join(map(repr, error.args))})"


def is_passing(error: BaseException) -> bool:
    """Whether it is worth waiting: the disk is full, or the database is locked or away."""
    return isinstance(error, StoreError) and not isinstance(error, CorruptBlobError | SchemaVersionError)


def breaks_the_device(error: BaseException) -> bool:
    """Whether the device cannot be used by this process any more, such as after a failed assertion in a kernel."""
    return isinstance(error, torch.AcceleratorError) and not _is_out_of_memory(error)


def traceback_lines(error: BaseException) -> list[str]:
    """Return the traceback for the run's log; nothing for an error that the message explains in full."""
    if isinstance(error, UserError | NonFiniteLossError | StorageFullError):
        return []
    return "".join(traceback.format_exception(error)).rstrip().splitlines()


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, OutOfMemoryError | torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(text in str(error) for text in _ALLOCATION_FAILED)


def first_line(error: BaseException) -> str:
    """Return what an exception says first; its kind if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
