"""What this machine measured before about the speed of stacks and of compiled code, for one engine process."""

import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import StoreError
from modelyard.domain.measurement import Compiling, Measurement, Situation, judge_compiling
from modelyard.domain.structure import workload_hash
from modelyard.store import clock
from modelyard.store.circumstances import circumstances
from modelyard.store.measurements import Measurements


class Known(NamedTuple):
    """Number of members to the seconds of one step of all of them, and to the day when that was measured."""

    seconds: Mapping[int, float]
    days: Mapping[int, str]


class KnownTimes:
    """Recalls and keeps times of steps. They are those of ``processes`` engine processes that train side by side."""

    def __init__(self, measurements: Measurements, *, device: torch.device, processes: int) -> None:
        self._measurements = measurements
        self._device = device_model(device)
        self._processes = processes

    def recall(self, specs: Sequence[RunSpec]) -> Known:
        """Return what is known about groups of runs like these."""
        found = self._measurements.recall(self._situation(specs), circumstances())
        ways = {
            way.members: measurement
            for way, measurement in found.ways.items()
            if way.processes == self._processes and not way.compiled
        }
        return Known(
            {members: measurement.seconds for members, measurement in ways.items()},
            {members: f"{measurement.measured_at:%Y-%m-%d}" for members, measurement in ways.items()},
        )

    def compiling(self, specs: Sequence[RunSpec], *, steps: int) -> Compiling | None:
        """Return whether to compile for so many ``steps`` of one of these runs; None if that was not measured."""
        found = self._measurements.recall(self._situation(specs), circumstances())
        return judge_compiling(found.ways, processes=self._processes, together=len(specs), steps=steps)

    def keep(self, specs: Sequence[RunSpec], times: Mapping[int, Sequence[float]]) -> None:
        """Keep times of steps by number of members. It is a convenience: a full disk costs no run anything."""
        news = [
            Measurement(
                members=members,
                processes=self._processes,
                seconds=statistics.median(seconds),
                steps=len(seconds),
                source="training",
                measured_at=clock.now(),
            )
            for members, seconds in times.items()
        ]
        with suppress(StoreError):
            self._measurements.keep(self._situation(specs), circumstances(), *news)

    def _situation(self, specs: Sequence[RunSpec]) -> Situation:
        return Situation(workload=workload_hash(specs), device=self._device)


def device_model(device: torch.device) -> str:
    """Return what measurements name a device by: an accelerator's model, since the next one of it is as fast."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
