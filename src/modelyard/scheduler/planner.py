"""Decides how many engine processes train how many runs at a time. A pure function; every group says why."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import UserError
from modelyard.domain.plan import Execution, Group, Plan
from modelyard.domain.structure import structure_hash
from modelyard.scheduler.shares import share_out

MOST_SLOTS = 8
"""Runs that take turns in one process, unless the user says otherwise; the others wait in the queue."""
MOST_STACKED = 16
"""The same for runs that may train as one model: more gain little."""
MOST_STRUCTURES = 50
"""A process is told no more structures to take first; it takes any others after them."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user asked for; None leaves the choice to the planner."""

    execution: Execution | None = None
    processes: int | None = None
    slots: int | None = None

    def __post_init__(self) -> None:
        for name in ("processes", "slots"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        if self.execution is Execution.COMPILED:
            raise UserError("execution: 'compiled' cannot be asked for here; set training.compile: always")
        if self.execution is Execution.SOLO and (self.slots or 1) > 1:
            raise UserError("solo execution trains one run at a time; leave slots out, or choose --execution sliced")


def make_plan(
    specs: Sequence[RunSpec],
    *,
    cores: int,
    devices: Sequence[str],
    wishes: Wishes | None = None,
    costs: Sequence[float] | None = None,
) -> Plan:
    """Return one group per engine process for the runs with these configs (those that are not finished).

    ``devices`` are accelerators (``cuda:0``); without any, the CPU's ``cores`` are shared out. All processes should end
    at about the same time: ``costs`` are the seconds of each run; without them an epoch counts the same in every run.
    Raises ``UserError``.
    """
    wishes = wishes or Wishes()
    if not specs:
        return Plan(groups=())
    threads = max(spec.training.threads for spec in specs)
    places = list(devices) or ["cpu"] * max(1, cores // threads)
    processes = wishes.processes or min(len(places), len(specs))
    structures = [structure_hash(spec) for spec in specs]
    shares = share_out(structures, costs or [spec.training.epochs for spec in specs], processes)
    slots = [_slots(len(share), wishes) for share in shares]
    where = f"{len(devices)} devices" if devices else f"{cores} cores and {threads} thread{'s' * (threads > 1)} a run"
    reason = _reason(len(specs), processes, max(slots), where, wishes)
    return Plan(
        groups=tuple(
            Group(
                execution=wishes.execution or (None if slots[index] > 1 else Execution.SOLO),
                device=places[index % len(places)],
                slots=slots[index],
                threads=threads,
                processes=-(-processes // len(set(places))),
                structures=tuple(dict.fromkeys(structures[run] for run in share))[:MOST_STRUCTURES],
                reason=reason,
            )
            for index, share in enumerate(shares)
        )
    )


def _slots(runs: int, wishes: Wishes) -> int:
    if wishes.execution is Execution.SOLO:
        return 1
    most = MOST_SLOTS if wishes.execution is Execution.SLICED else MOST_STACKED
    return wishes.slots or max(1, min(most, runs))


def _reason(runs: int, processes: int, slots: int, where: str, wishes: Wishes) -> str:
    asked = [name for name in ("execution", "processes", "slots") if getattr(wishes, name) is not None]
    because = f" ({', '.join(asked)} as asked for)" if asked else ""
    at_once = f"{runs} run{'s' * (runs > 1)} on {where}: {processes} process{'es' * (processes > 1)}"
    if slots == 1:
        return f"{at_once}, each with one run at a time, start to end{because}"
    if wishes.execution is Execution.STACKED:
        return f"{at_once}, each with up to {slots} runs; those of one structure train as one model{because}"
    if wishes.execution is None:
        return (
            f"{at_once}, each with up to {slots} runs at a time; those of one structure train as one model where that "
            f"is found to be faster, the others take turns{because}"
        )
    return f"{at_once}, each with up to {slots} runs that take turns, so that all can be compared early{because}"
