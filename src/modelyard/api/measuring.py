"""Measures the ways to train the runs of one structure on this machine, or recalls what was measured before."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from modelyard.agent.devices import DeviceInfo
from modelyard.agent.probing import Opened, Probed, ProbeError, Prober
from modelyard.api.datacheck import Samples
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import StoreError
from modelyard.domain.measurement import Facts, Measurement, Situation, Way
from modelyard.domain.structure import workload_hash
from modelyard.engine.compilers import why_not_compiled
from modelyard.scheduler.estimates import Tried, name_of, sizes_to_try
from modelyard.store.circumstances import circumstances
from modelyard.store.measurements import Measurements, Remembered

MOST_SECONDS = 180.0
"""After so long no further structure is measured: a plan must not take longer than the training."""
COMPILING_PAYS_SECONDS = 300.0
"""Compiling takes up to a minute itself, so it is measured only where training takes so long in each process."""

LONG_STEP_SECONDS = 0.05
"""Where a step takes longer, what is around it is little beside it."""
LONG_OPENING_SECONDS = 5.0
"""Data that take longer to open are not opened once more to find out."""

Say = Callable[[str], None]


@dataclass
class Found:
    """What is known about the runs of one structure."""

    facts: Facts | None = None
    tried: list[Tried] = field(default_factory=list)
    remembered: bool = False
    """Whether it was measured before."""
    notes: list[str] = field(default_factory=list)
    """What went wrong, or what was known and does not count."""

    @property
    def measured_at(self) -> datetime | None:
        """When the newest of it was measured."""
        return max((one.measurement.measured_at for one in self.tried if one.measurement is not None), default=None)


class Measurer:
    """Measures with the processes of a ``Prober``, one structure after the other."""

    def __init__(
        self,
        prober: Prober,
        measurements: Measurements,
        *,
        device: DeviceInfo,
        processes: int,
        memory_bytes: int | None,
    ) -> None:
        self._prober = prober
        self._measurements = measurements
        self._device = device
        self._processes = processes
        self._memory_bytes = memory_bytes
        self._started = time.monotonic()

    def find(self, runs: Sequence[RunSpec], samples: Samples | None, *, together: int, fresh: bool, say: Say) -> Found:
        """Return what is known about runs of one structure, of which a process has ``together`` in training at a time.

        What is not known, or everything if it has to be ``fresh``, is measured and kept for the next time. Raises
        ``MissingExtraError`` without torch.
        """
        situation = self._situation(runs)
        known = self._measurements.recall(situation, circumstances())
        found = self._recalled(known, samples, together)
        if found is None or fresh:
            found = self._measure(runs, together, say)
            found.notes = [*known.notes, *found.notes]
            self._keep(situation, found)
        if getattr(runs[0].model, "freeze_backbone", False):
            found.notes.append(
                "steps were measured with the frozen backbone; training computes it once per sample where it can, and "
                "takes less time then"
            )
        return found

    def try_compiled(self, runs: Sequence[RunSpec], found: Found, *, seconds: float | None, say: Say) -> None:
        """Add ``torch.compile`` to what was found, or why it is left out; training takes ``seconds`` without it."""
        way = Way(1, 1, compiled=True)
        modes = {spec.training.compile for spec in runs}
        why_not = "training.compile is never" if modes == {"never"} else why_not_compiled(self._device.kind)
        if not why_not and "always" not in modes and seconds is not None and seconds < COMPILING_PAYS_SECONDS:
            why_not = f"left out: training takes less than {COMPILING_PAYS_SECONDS:.0f} s, too little to pay for it"
        situation = self._situation(runs)
        known = self._measurements.recall(situation, circumstances()).ways.get(way)
        if known is None and not why_not:
            tried = self._try(runs, way, say)
        else:
            tried = Tried(way=way, measurement=known, problem=why_not)
        found.tried.append(tried)
        if tried.measurement is not None and known is None:
            self._keep(situation, Found(tried=[tried]))

    def rehearse(self, runs: Sequence[RunSpec], found: Found, *, members: int, together: int, say: Say) -> None:
        """Find out what training takes beside its steps, where that is much and was not found out before."""
        facts, way = found.facts, Way(members, self._processes)
        best = next((one.measurement for one in found.tried if one.way == way), None)
        if found.remembered or facts is None or best is None or runs[0].user_code is not None:
            return
        if best.seconds > LONG_STEP_SECONDS or facts.open_seconds > LONG_OPENING_SECONDS:
            return
        say("training for a moment, to see what else it takes")
        try:
            rehearsed = self._prober.rehearse(runs, way, together=together)
        except ProbeError as error:
            found.notes.append(f"what training takes beside its steps is not in the estimate: {error}")
            return
        overheads = [
            one.seconds / (one.steps * best.seconds / members + one.evaluated * facts.evaluation_seconds)
            for one in rehearsed
            if one.steps
        ]
        found.facts = facts.model_copy(update={"overhead": max([1.0, *overheads])})
        self._keep(self._situation(runs), Found(facts=found.facts))

    def _situation(self, runs: Sequence[RunSpec]) -> Situation:
        return Situation(workload=workload_hash(runs), device=self._device.model or self._device.kind)

    def _recalled(self, known: Remembered, samples: Samples | None, together: int) -> Found | None:
        if known.facts is None:
            return None
        sizes = (known.facts.train_samples, known.facts.val_samples, known.facts.test_samples)
        if samples is not None and sizes != (samples.train, samples.val, samples.test):
            known.notes.append("what was measured does not count: the data had another number of samples")
            return None
        ways = self._ways(together, known.facts)
        if any(way not in known.ways for way in ways):
            return None
        tried = [Tried(way=way, measurement=known.ways[way]) for way in ways]
        return Found(facts=known.facts, tried=tried, remembered=True)

    def _ways(self, together: int, facts: Facts) -> list[Way]:
        ways = [Way(1, self._processes)] + [Way(1, 1)] * (self._processes > 1)
        if not facts.cannot_stack:
            ways += [Way(members, self._processes) for members in sizes_to_try(together)]
        return ways

    def _measure(self, runs: Sequence[RunSpec], together: int, say: Say) -> Found:
        if time.monotonic() - self._started > MOST_SECONDS:
            why = f"not measured: measuring the larger structures took {MOST_SECONDS:.0f} s"
            return Found(tried=[Tried(way=Way(1, self._processes), problem=why)])
        say("opening the data")
        try:
            opened = self._prober.open(runs[0])
            say(f"measuring {name_of(Way(1, self._processes))}, {self._processes} at the same time")
            alone = self._prober.measure(runs, Way(1, self._processes), evaluate=True)
        except ProbeError as error:
            return Found(tried=[Tried(way=Way(1, self._processes), problem=f"failed: {error}")], notes=[str(error)])
        facts = _facts(opened, alone)
        first = Tried(way=Way(1, self._processes), measurement=_measurement(Way(1, self._processes), alone))
        found = Found(facts=facts, tried=[first])
        for way in self._ways(together, facts)[1:]:
            too_large = self._too_large(way, alone)
            found.tried.append(Tried(way=way, problem=too_large) if too_large else self._try(runs, way, say))
        say("measuring all of them once more")
        found.tried = [self._again(runs, one) for one in found.tried]
        return found

    def _again(self, runs: Sequence[RunSpec], one: Tried) -> Tried:
        """Measure a way a second time and keep the faster time: what else runs on the machine only makes it slower."""
        before = one.measurement
        if before is None:
            return one
        try:
            again = _measurement(one.way, self._prober.measure(runs, one.way))
        except ProbeError as error:
            return Tried(way=one.way, problem=f"failed: {error}")
        faster = min(before, again, key=lambda each: each.seconds)
        peaks = [each.peak_bytes for each in (before, again) if each.peak_bytes is not None]
        return Tried(way=one.way, measurement=faster.model_copy(update={"peak_bytes": max(peaks, default=None)}))

    def _try(self, runs: Sequence[RunSpec], way: Way, say: Say) -> Tried:
        say(f"measuring {name_of(way)}, {way.processes} at the same time")
        try:
            return Tried(way=way, measurement=_measurement(way, self._prober.measure(runs, way)))
        except ProbeError as error:
            return Tried(way=way, problem=f"failed: {error}")

    def _too_large(self, way: Way, alone: Probed) -> str:
        """A stack that would surely not fit is not tried: running out of memory may take other programs down."""
        least = way.members * way.processes * (alone.weight_bytes + alone.optimizer_bytes)
        if self._memory_bytes is None or least <= self._memory_bytes:
            return ""
        return f"does not fit: weights and optimizer state alone take {least:,} of {self._memory_bytes:,} bytes"

    def _keep(self, situation: Situation, found: Found) -> None:
        news: list[Measurement | Facts] = [one.measurement for one in found.tried if one.measurement is not None]
        if found.facts is not None:
            news.append(found.facts)
        try:
            self._measurements.keep(situation, circumstances(), *news)
        except StoreError as error:
            found.notes.append(f"what was measured could not be kept: {error}")


def _facts(opened: Opened, alone: Probed) -> Facts:
    assert alone.evaluation_seconds is not None
    return Facts(
        parameters=opened.parameters,
        weight_bytes=alone.weight_bytes,
        optimizer_bytes=alone.optimizer_bytes,
        cannot_stack=opened.cannot_stack,
        evaluation_seconds=alone.evaluation_seconds,
        steps_per_epoch=opened.steps_per_epoch,
        train_samples=opened.samples["train"],
        val_samples=opened.samples["val"],
        test_samples=opened.samples["test"],
        start_seconds=opened.start_seconds,
        open_seconds=opened.seconds,
        measured_at=datetime.now(UTC),
    )


def _measurement(way: Way, probed: Probed) -> Measurement:
    return Measurement(
        members=way.members,
        processes=way.processes,
        compiled=way.compiled,
        seconds=probed.seconds,
        steps=probed.steps,
        compile_seconds=probed.compile_seconds,
        peak_bytes=probed.peak_bytes,
        source="plan",
        measured_at=datetime.now(UTC),
    )
