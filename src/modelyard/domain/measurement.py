"""What was measured of the ways to train the runs of one structure, and which of them is taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from modelyard.domain.base import Config

WORTH_IT = 1.15
"""A stack must train at least so many times as fast as its members one after the other."""
ABOUT_AS_FAST = 0.9
"""Of the sizes that train about as fast as the fastest, the largest is taken."""

Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]


class Way(NamedTuple):
    """A way to train."""

    members: int
    """Runs that train as one model; 1 stands for each by itself."""
    processes: int
    """Engine processes that train at the same time: they share caches, memory and clock rate."""
    compiled: bool = False
    """Whether by ``torch.compile``."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a measurement is about. Equal situations may share measurements."""

    workload: str
    """``structure.workload_hash``."""
    device: str
    """``cpu``, or the accelerator's model."""


class Measurement(Config):
    """How fast one way was."""

    members: Count
    """Runs that trained as one model."""
    processes: Count
    """Engine processes that trained at the same time."""
    compiled: bool = False
    """Whether the model was compiled."""
    seconds: Seconds
    """Median time of one optimizer step of all members together, in each process."""
    steps: Count
    """Steps that were measured."""
    compile_seconds: float | None = None
    """Time of the first step of a compiled model."""
    peak_bytes: Bytes | None = None
    """Memory of one process at the most, beyond what it takes without a run; None if it was not measured."""
    source: Literal["plan", "training"]
    """Whether ``modelyard plan`` measured it, or an engine in training."""
    measured_at: datetime
    """When that was."""

    @property
    def way(self) -> Way:
        """What was measured."""
        return Way(self.members, self.processes, self.compiled)


class Facts(Config):
    """What was found about the runs of one structure besides their speed."""

    parameters: Bytes
    """Numbers that are trained or kept, in one model."""
    weight_bytes: Bytes
    """Memory of one model's weights, their average included."""
    optimizer_bytes: Bytes
    """Memory of one optimizer's state after a few steps."""
    cannot_stack: str = ""
    """Why its models cannot train as one; empty if they can."""
    evaluation_seconds: Seconds
    """Time of evaluating one sample alone, with as many processes as train at the same time."""
    steps_per_epoch: Count
    """Optimizer steps in an epoch."""
    train_samples: Count
    """Samples in the training split."""
    val_samples: Bytes
    """Samples in the validation split."""
    test_samples: Bytes
    """Samples in the test split."""
    overhead: Annotated[float, Field(ge=1)] = 1.0
    """How many times as long training takes as its steps and evaluations do: what is written down, and the like."""
    start_seconds: Seconds
    """Time until a process that trains has started."""
    open_seconds: Seconds
    """Time of opening the data, with their fingerprint, and of building one model."""
    measured_at: datetime
    """When that was."""


@dataclass(frozen=True)
class Compiling:
    """Whether it pays to compile the model of a run."""

    pays: bool
    gain: float
    """How many times as fast as in turns and uncompiled, the time of compiling included."""
    reason: str
    """One sentence for people."""


def judge_compiling(ways: Mapping[Way, Measurement], *, processes: int, together: int, steps: int) -> Compiling | None:
    """Judge from what was measured whether to compile for ``steps`` steps; None without such measurements.

    So many ``processes`` train side by side, in each up to ``together`` runs of the structure.
    """
    alone, compiled = ways.get(Way(1, processes)), ways.get(Way(1, 1, compiled=True))
    if alone is None or compiled is None:
        return None
    single = ways.get(Way(1, 1), alone)  # compiled steps are measured beside idle cores
    compile_seconds = compiled.compile_seconds or 0.0
    gain = steps * single.seconds / (compile_seconds + steps * compiled.seconds)
    stacks = {
        way.members: alone.seconds * way.members / one.seconds
        for way, one in ways.items()
        if 1 < way.members <= together and way.processes == processes and not way.compiled
    }
    best = max(stacks.values(), default=1.0)
    when = f"as measured on {compiled.measured_at:%Y-%m-%d}"
    told = f"it trains at {gain:.2f}x the speed, the time of compiling included, {when}"
    if gain >= WORTH_IT * max(best, 1.0):
        return Compiling(True, gain, told)
    other = f"the {best:.2f}x of {max(stacks, key=stacks.__getitem__)} runs as one model" if best > 1 else "uncompiled"
    return Compiling(False, gain, f"{told}; it must be {WORTH_IT}x as fast as {other}")


def choose_members(gains: Mapping[int, float]) -> int:
    """Return how many runs should train as one model, given how many times as fast as alone each number is."""
    fastest = max(gains.values(), default=0.0)
    if fastest < WORTH_IT:
        return 1
    return max(members for members, gain in gains.items() if gain >= max(fastest * ABOUT_AS_FAST, WORTH_IT))
