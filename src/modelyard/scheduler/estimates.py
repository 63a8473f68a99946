"""How long the runs of one structure take in each way that was measured, and which way is taken. Pure arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.domain.config import RunSpec
from modelyard.domain.measurement import WORTH_IT, Facts, Measurement, Way, choose_members
from modelyard.domain.plan import Execution

COMPILED_LOSES = "not used: Modelyard trains no compiled models"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A way that was measured, or why it was not."""

    way: Way
    measurement: Measurement | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Option:
    """A way to train the runs of a structure, and what became of it."""

    name: str
    """``alone``, ``stacked 8``, ``compiled``."""
    processes: int
    step_seconds: float | None
    """Time of one optimizer step of one run, in each of the processes."""
    speed: float | None
    """How many times as fast as one run after the other in as many processes."""
    memory_bytes: int | None
    """Memory of one process at the most."""
    compile_seconds: float | None
    verdict: str
    """``chosen``, or why not."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The runs of one structure, and what they train beside."""

    specs: tuple[RunSpec, ...]
    together: int
    """Runs that one process has in training at the same time."""
    processes: int
    """Processes that train at the same time on the device."""
    memory_bytes: int | None
    """Memory that all of them have together; None if nobody knows."""
    shared: tuple[int, ...] = ()
    """How many first steps of each run another one trains for it; empty if none does."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is expected of the runs of one structure. Seconds are of work, to be shared by the processes."""

    options: tuple[Option, ...]
    members: int | None
    """Runs that will train as one model; None if nothing could be measured."""
    training_seconds: float | None
    longest_seconds: float | None
    """Training time of the longest run."""
    evaluation_seconds: float | None
    memory_bytes: int | None
    """Memory of one process at the most."""
    run_seconds: tuple[float | None, ...]
    """Work of each run: its share of the steps of its stack, and its evaluations."""


def sizes_to_try(together: int) -> tuple[int, ...]:
    """Return the stacks to measure where a process has so many runs: all of them, and half of them."""
    return tuple(sorted({together, max(2, together // 2)})) if together > 1 else ()


def estimate(
    runs: Runs, facts: Facts | None, tried: Sequence[Tried], *, execution: Execution | None = None
) -> Estimate:
    """Judge the ways to train the runs of one structure.

    ``execution`` is what the user asked for; None takes the fastest.
    """
    measured = {one.way: one.measurement for one in tried if one.measurement is not None}
    alone = measured.get(Way(1, runs.processes))
    if alone is None or facts is None:
        return _unknown(len(runs.specs), [_untold(one) for one in tried])
    judge = _Judge(runs, facts, alone, measured.get(Way(1, 1), alone))
    members = _members(judge, measured, execution)
    best = measured[Way(members, runs.processes)]
    shared = runs.shared or (0,) * len(runs.specs)
    steps = [spec.training.epochs * facts.steps_per_epoch for spec in runs.specs]
    training = [(count - past) * best.seconds / members for count, past in zip(steps, shared, strict=True)]
    evaluation = [
        _evaluated(spec, facts, past) * facts.evaluation_seconds for spec, past in zip(runs.specs, shared, strict=True)
    ]
    return Estimate(
        options=tuple(judge.option(one, members) for one in tried),
        members=members,
        training_seconds=sum(training),
        longest_seconds=max(steps) * best.seconds,
        evaluation_seconds=sum(evaluation),
        memory_bytes=judge.memory(best),
        run_seconds=tuple(map(sum, zip(training, evaluation, strict=True))),
    )


def _evaluated(spec: RunSpec, facts: Facts, shared: int) -> int:
    """Return how many samples a run evaluates, after its first ``shared`` steps."""
    every = spec.training.evaluate_every
    times = -(-spec.training.epochs // every) - shared // (every * facts.steps_per_epoch)
    return times * facts.val_samples + facts.test_samples


def _members(judge: "_Judge", measured: Mapping[Way, Measurement], execution: Execution | None) -> int:
    stacks = [
        one for way, one in measured.items() if way.members > 1 and not way.compiled and judge.too_large(one) is None
    ]
    if execution in {Execution.SOLO, Execution.SLICED} or not stacks:
        return 1
    if execution is Execution.STACKED:
        return max(one.members for one in stacks)
    return choose_members({one.members: judge.speed(one) for one in stacks})


@dataclass(frozen=True)
class _Judge:
    runs: Runs
    facts: Facts
    alone: Measurement
    single: Measurement
    """One process beside idle cores, which is how compiling is measured."""

    def speed(self, one: Measurement) -> float:
        """How many times as fast as alone; several processes share the work, one alone does all of it."""
        if one.compiled:
            return self.single.seconds / one.seconds
        return self.alone.seconds * one.members * one.processes / (one.seconds * self.alone.processes)

    def memory(self, one: Measurement) -> int | None:
        """The runs that wait for their turn keep their weights in memory as well."""
        if one.peak_bytes is None:
            return None
        waiting = 0 if one.members > 1 else self.runs.together - 1
        return one.peak_bytes + waiting * (self.facts.weight_bytes + self.facts.optimizer_bytes)

    def too_large(self, one: Measurement) -> str | None:
        limit = self.runs.memory_bytes
        if one.peak_bytes is None or limit is None or one.peak_bytes * one.processes <= limit:
            return None
        return f"does not fit: {one.peak_bytes:,} bytes in each of {one.processes} processes"

    def option(self, one: Tried, chosen: int) -> Option:
        found = one.measurement
        if found is None:
            return _untold(one)
        return Option(
            name=name_of(one.way),
            processes=one.way.processes,
            step_seconds=found.seconds / found.members,
            speed=self.speed(found),
            memory_bytes=self.memory(found),
            compile_seconds=found.compile_seconds,
            verdict=self._verdict(found, chosen),
        )

    def _verdict(self, one: Measurement, chosen: int) -> str:
        if one.compiled:
            return COMPILED_LOSES if self.speed(one) > 1 else "slower than without compiling"
        if one.processes < self.alone.processes:
            return "for comparison: other cores would be idle"
        if one.members == chosen:
            return "chosen"
        too_large = self.too_large(one)
        if too_large is not None:
            return too_large
        if one.members > 1 and self.speed(one) < WORTH_IT:
            return f"loses: a stack must be {WORTH_IT}x as fast as its runs alone"
        return "loses"


def name_of(way: Way) -> str:
    """Return what people call a way."""
    if way.compiled:
        return "compiled"
    return "alone" if way.members == 1 else f"stacked {way.members}"


def _untold(one: Tried) -> Option:
    return Option(
        name=name_of(one.way),
        processes=one.way.processes,
        step_seconds=None,
        speed=None,
        memory_bytes=None,
        compile_seconds=None,
        verdict=one.problem,
    )


def _unknown(runs: int, options: Sequence[Option]) -> Estimate:
    return Estimate(
        options=tuple(options),
        members=None,
        training_seconds=None,
        longest_seconds=None,
        evaluation_seconds=None,
        memory_bytes=None,
        run_seconds=(None,) * runs,
    )


@dataclass(frozen=True, kw_only=True)
class WallTime:
    """How long a sweep takes from the start of its processes to its end, in seconds. Runs that end early take less."""

    start: float
    """Starting the processes."""
    opening: float
    """Opening the data in each process."""
    training: float
    evaluation: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.start + self.opening + self.training + self.evaluation


def wall_time(estimates: Sequence[Estimate], *, start: float, opening: float, processes: int) -> WallTime | None:
    """Return how long everything takes together; None if something is not known.

    The processes share the work, but none can end before its longest run.
    """
    training, evaluation, longest = 0.0, 0.0, 0.0
    for one in estimates:
        if one.training_seconds is None or one.evaluation_seconds is None or one.longest_seconds is None:
            return None
        training += one.training_seconds
        evaluation += one.evaluation_seconds
        longest = max(longest, one.longest_seconds)
    return WallTime(
        start=start, opening=opening, training=max(training / processes, longest), evaluation=evaluation / processes
    )
