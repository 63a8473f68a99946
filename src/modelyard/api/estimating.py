"""Estimates how long a sweep takes on this machine, from steps that are measured or were measured before."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import psutil

from modelyard.agent.devices import DeviceInfo
from modelyard.agent.probing import NoProber, Prober
from modelyard.api.datacheck import Samples
from modelyard.api.measuring import Found, Measurer, Say
from modelyard.domain.config import RunSpec
from modelyard.domain.plan import Execution, Plan
from modelyard.domain.structure import structure_differences, structure_hash
from modelyard.scheduler.estimates import Estimate, Runs, WallTime, estimate, wall_time
from modelyard.store.measurements import Measurements


@dataclass(frozen=True, kw_only=True)
class StructureEstimate:
    """Runs that can train as one model, and what they cost."""

    runs: tuple[int, ...]
    """Their numbers, from 1."""
    differs: tuple[str, ...]
    """In which fields these runs are unlike those of the largest structure, so that they cannot share its stacks."""
    cannot_stack: str
    """Why not even these runs can train as one model; empty if they can."""
    parameters: int | None
    measured_at: datetime | None
    remembered: bool
    """Whether it was measured before this plan."""
    notes: tuple[str, ...]
    """What went wrong, or what was known and does not count."""
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class SweepEstimate:
    """What a sweep costs on this machine."""

    structures: tuple[StructureEstimate, ...]
    wall_time: WallTime | None
    """None if some structure could not be measured."""
    memory_bytes: int | None
    """Memory of all processes at the most, beyond what they take without a run."""
    probe_seconds: float
    """How long measuring took."""
    load: float | None
    """Processes that wanted a core in the minute before, on average; None where the system does not tell."""
    run_seconds: tuple[float | None, ...]
    """Expected time of each run's training and evaluation, when it has a process to itself."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be estimated, and how."""

    plan: Plan
    device: DeviceInfo
    execution: Execution | None = None
    """What the user asked for; None takes the fastest."""
    fresh: bool = False
    """Measure again what is known."""
    measure: bool = True
    """Measure what is not known; else nothing is said of it."""
    shared: tuple[int, ...] = ()
    """How many first steps of each run another one trains for it; empty if none does."""
    start_seconds: float = 0.0
    """How long a command takes until it has checked its runs, before they can begin."""
    code: Mapping[str, str] = field(default_factory=dict)
    """The texts of the runs' own code, by its digest."""


def estimate_sweep(
    specs: Sequence[RunSpec], samples: Sequence[Samples | None], wanted: Wanted, measurements: Measurements, *, say: Say
) -> SweepEstimate:
    """Estimate the runs of a sweep; steps of each structure are measured unless that was done before, or not wanted.

    ``samples`` are those of each run, as far as they are known. ``say`` is called with what is measured next. Raises
    ``MissingExtraError``.
    """
    started = time.monotonic()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    group = wanted.plan.groups[0]
    structures: dict[str, list[int]] = {}
    for index, spec in enumerate(specs):
        structures.setdefault(structure_hash(spec), []).append(index)
    ordered = sorted(structures.values(), key=len, reverse=True)
    found: list[tuple[StructureEstimate, Found]] = []
    kind = Prober if wanted.measure else NoProber
    with kind(device=group.device, threads=group.threads, processes=group.processes, code=wanted.code) as prober:
        measurer = Measurer(
            prober,
            measurements,
            device=wanted.device,
            processes=group.processes,
            memory_bytes=_memory(wanted.device),
        )
        for number, indices in enumerate(ordered, start=1):
            where = f"structure {number} of {len(ordered)}: " if len(ordered) > 1 else ""
            runs = [specs[index] for index in indices]
            shared = tuple(wanted.shared[index] for index in indices) if wanted.shared else ()
            one = _Structure(runs, samples[indices[0]], shared, wanted, measurer).estimate(partial(_say, say, where))
            differs = structure_differences(specs[ordered[0][0]], runs[0])
            found.append((_described(indices, differs, *one), one[0]))
    estimate = _summed_up(found, specs, wanted)
    return replace(estimate, probe_seconds=time.monotonic() - started, load=load)


def _say(say: Say, where: str, what: str) -> None:
    say(where + what)


@dataclass(frozen=True)
class _Structure:
    """The runs of one structure, to be estimated."""

    runs: Sequence[RunSpec]
    samples: Samples | None
    shared: tuple[int, ...]
    wanted: Wanted
    measurer: Measurer

    def estimate(self, say: Say) -> tuple[Found, Estimate]:
        group = self.wanted.plan.groups[0]
        processes = takers(self.wanted.plan, structure_hash(self.runs[0]), len(self.runs))
        together = min(group.slots, -(-len(self.runs) // processes))
        found = self.measurer.find(self.runs, self.samples, together=together, fresh=self.wanted.fresh, say=say)
        what = Runs(
            specs=tuple(self.runs),
            together=together,
            processes=group.processes,
            memory_bytes=_memory(self.wanted.device),
            shared=self.shared,
        )
        judged = estimate(what, found.facts, found.tried, execution=self.wanted.execution)
        if judged.training_seconds is not None:
            members = judged.members or 1
            self.measurer.rehearse(self.runs, found, members=members, together=together, say=say)
            self.measurer.try_compiled(self.runs, found, seconds=judged.training_seconds / processes, say=say)
            judged = estimate(what, found.facts, found.tried, execution=self.wanted.execution)
        return found, judged


def takers(plan: Plan, structure: str, runs: int) -> int:
    """Return how many of a plan's processes share so many runs of a structure: those that take it first."""
    return max(1, min(runs, sum(structure in group.structures for group in plan.groups)))


def _described(indices: Sequence[int], differs: tuple[str, ...], found: Found, judged: Estimate) -> StructureEstimate:
    return StructureEstimate(
        runs=tuple(index + 1 for index in indices),
        differs=differs,
        cannot_stack="" if found.facts is None else found.facts.cannot_stack,
        parameters=None if found.facts is None else found.facts.parameters,
        measured_at=found.measured_at,
        remembered=found.remembered,
        notes=tuple(found.notes),
        estimate=judged,
    )


def _summed_up(
    found: Sequence[tuple[StructureEstimate, Found]], specs: Sequence[RunSpec], wanted: Wanted
) -> SweepEstimate:
    facts = [one.facts for _, one in found if one.facts is not None]
    estimates = [one.estimate for one, _ in found]
    memory = [one.memory_bytes for one in estimates if one.memory_bytes is not None]
    processes = min(len(wanted.plan.groups), len(specs))
    seconds = {
        number: value for one, _ in found for number, value in zip(one.runs, one.estimate.run_seconds, strict=True)
    }
    return SweepEstimate(
        structures=tuple(one for one, _ in found),
        wall_time=wall_time(
            estimates,
            start=max([wanted.start_seconds, *(one.start_seconds for one in facts)]),
            opening=max((one.open_seconds for one in facts), default=0.0),
            processes=processes,
        ),
        memory_bytes=processes * max(memory) if len(memory) == len(found) else None,
        probe_seconds=0.0,
        load=None,
        run_seconds=tuple(seconds[number] for number in range(1, len(specs) + 1)),
    )


def _memory(device: DeviceInfo) -> int | None:
    """Return the bytes that training may take: what is free in this machine, or what the accelerator has."""
    return psutil.virtual_memory().available if device.kind == "cpu" else device.memory_bytes
