"""How a group of runs is executed, and why."""

from dataclasses import dataclass
from enum import StrEnum


class Execution(StrEnum):
    """The ways of training the runs of one group."""

    SOLO = "solo"
    SLICED = "sliced"
    STACKED = "stacked"
    COMPILED = "compiled"
    """In turns, or one after the other, by compiled code. Nobody asks for it here: ``training.compile`` does."""


ASKED_FOR = (Execution.SOLO, Execution.SLICED, Execution.STACKED)
"""What a user may ask for when runs are started."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that one engine process trains together on one device."""

    execution: Execution | None
    """None: for runs of one structure the fastest way is measured while they train."""
    device: str
    """``cpu``, ``cuda:0``, ``mps``."""
    slots: int
    """How many runs are in training at the same time in this process."""
    threads: int
    """CPU threads of the process; part of what makes a run bit-identical when it is repeated."""
    processes: int = 1
    """Processes that train side by side on this device, or on the CPU; times are measured with so many."""
    structures: tuple[str, ...] = ()
    """Hashes of the structures whose runs this process takes first; when there are none left, it takes any."""
    reason: str
    """One sentence for people: why this execution and not another."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an agent starts: one engine process for each group."""

    groups: tuple[Group, ...]
