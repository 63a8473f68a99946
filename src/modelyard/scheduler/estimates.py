"""How long the runs of one structure take in each way that was measured, and which way is taken. Pure arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.domain.config import RunSpec
from modelyard.domain.measurement import (
    WORTH_IT,
    Compiling,
    Facts,
    Measurement,
    Way,
    choose_members,
    judge_compiling,
)
from modelyard.domain.plan import Execution


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
    compiled: int
    """How many runs will train by compiled code."""
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
    judge = _Judge(runs, facts, measured, execution)
    compiles = [judge.compiling(spec).pays for spec in runs.specs]
    members = 0 if all(compiles) else _members(judge)
    best = measured[Way(members or 1, runs.processes)]
    shared = runs.shared or (0,) * len(runs.specs)
    training, evaluation, whole = [], [], []
    for spec, compiled, past in zip(runs.specs, compiles, shared, strict=True):
        step, together = (judge.compiled_seconds, 1) if compiled else (best.seconds * facts.overhead, members)
        whole.append(judge.steps(spec) * step)
        training.append((judge.steps(spec) - past) * step / together)
        evaluation.append(_evaluated(spec, facts, past) * facts.evaluation_seconds * facts.overhead)
    return Estimate(
        options=tuple(judge.option(one, members) for one in tried),
        members=members or 1,
        compiled=sum(compiles),
        training_seconds=sum(training) + judge.compile_seconds * min(runs.processes, sum(compiles)),
        longest_seconds=max(whole),
        evaluation_seconds=sum(evaluation),
        memory_bytes=judge.memory(best),
        run_seconds=tuple(map(sum, zip(training, evaluation, strict=True))),
    )


def _evaluated(spec: RunSpec, facts: Facts, shared: int) -> int:
    """Return how many samples a run evaluates, after its first ``shared`` steps."""
    every = spec.training.evaluate_every
    times = -(-spec.training.epochs // every) - shared // (every * facts.steps_per_epoch)
    return times * facts.val_samples + facts.test_samples


def _members(judge: "_Judge") -> int:
    stacks = [one for way, one in judge.measured.items() if way.members > 1 and judge.too_large(one) is None]
    if judge.execution in {Execution.SOLO, Execution.SLICED} or not stacks:
        return 1
    if judge.execution is Execution.STACKED:
        return max(one.members for one in stacks)
    return choose_members({one.members: judge.speed(one) for one in stacks})


@dataclass(frozen=True)
class _Judge:
    runs: Runs
    facts: Facts
    measured: Mapping[Way, Measurement]
    execution: Execution | None

    @property
    def alone(self) -> Measurement:
        """One run after the other in each process."""
        return self.measured[Way(1, self.runs.processes)]

    @property
    def single(self) -> Measurement:
        """One process beside idle cores, which is how compiling is measured."""
        return self.measured.get(Way(1, 1), self.alone)

    @property
    def compiled_seconds(self) -> float:
        """Time of a compiled step; the processes slow each other in it as they do without."""
        return 0.0 if self.code is None else self.code.seconds * self.alone.seconds / self.single.seconds

    @property
    def compile_seconds(self) -> float:
        """Time of compiling, in each process."""
        return 0.0 if self.code is None else self.code.compile_seconds or 0.0

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

    @property
    def code(self) -> Measurement | None:
        """What was measured of compiled code."""
        return self.measured.get(Way(1, 1, compiled=True))

    def compiling(self, spec: RunSpec) -> Compiling:
        """Whether a run will be compiled: as training will decide, from the same measurements."""
        mode = spec.training.compile
        if mode != "auto":
            return Compiling(mode == "always" and self.code is not None, 1.0, f"training.compile is {mode}")
        if self.execution not in {None, Execution.SOLO}:
            return Compiling(False, 1.0, f"not where --execution {self.execution} is asked for")
        steps = self.steps(spec)
        judged = judge_compiling(self.measured, processes=self.runs.processes, together=self.runs.together, steps=steps)
        return judged or Compiling(False, 1.0, "")

    def steps(self, spec: RunSpec) -> int:
        """Return the optimizer steps of a run."""
        return spec.training.epochs * self.facts.steps_per_epoch

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
            return self._of_compiling()
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

    def _of_compiling(self) -> str:
        """Say for how many runs code is compiled, and why: for the longest of those that are, or else of all."""
        judged = [(self.compiling(spec), self.steps(spec)) for spec in self.runs.specs]
        chosen = [one for one in judged if one[0].pays]
        reason = max(chosen or judged, key=lambda one: one[1])[0].reason
        if not chosen:
            return f"loses: {reason}"
        return f"chosen{f' for {len(chosen)} of {len(judged)} runs' * (len(chosen) < len(judged))}: {reason}"


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
        compiled=0,
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
