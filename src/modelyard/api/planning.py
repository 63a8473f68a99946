"""Says how runs would be trained on this machine, without creating any."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.agent.devices import DeviceInfo, accelerators, cores
from modelyard.api.training import Resources
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.plan import Plan
from modelyard.scheduler.planner import make_plan


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep would make: its runs, in order, and the processes that would train them."""

    sweep: SweepSpec
    specs: tuple[RunSpec, ...]
    plan: Plan
    cores: int
    devices: tuple[DeviceInfo, ...]
    """Accelerators; without any, runs train on the CPU."""

    @property
    def device(self) -> DeviceInfo:
        """The device of the first process."""
        cpu = DeviceInfo(name="cpu", kind="cpu", model="", memory_bytes=None)
        return next((device for device in self.devices if device.name == self.plan.groups[0].device), cpu)


def plan_sweep(
    sweep: SweepSpec,
    specs: Sequence[RunSpec],
    resources: Resources,
    *,
    costs: Sequence[float] | None = None,
    devices: Sequence[DeviceInfo] | None = None,
) -> SweepPlan:
    """Plan a sweep for this machine; ``costs`` are the seconds that each run takes, if that is known.

    ``devices`` are its accelerators, where they have been asked for before. Raises ``UserError`` for resources that
    make no sense.
    """
    devices = accelerators() if devices is None else devices
    plan = make_plan(
        specs, cores=cores(), devices=[device.name for device in devices], wishes=resources.wishes(), costs=costs
    )
    return SweepPlan(sweep, tuple(specs), plan, cores(), tuple(devices))
