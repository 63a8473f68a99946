"""Says how runs would be trained on this machine, without creating any."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.agent.devices import accelerators, cores
from modelyard.api.training import Resources
from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.plan import Plan
from modelyard.domain.run import Reason, ReasonCode, Run, RunState
from modelyard.scheduler.planner import Wishes, make_plan
from modelyard.store.clock import now


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep would make: its runs, in order, and the processes that would train them."""

    sweep: SweepSpec
    specs: tuple[RunSpec, ...]
    plan: Plan
    cores: int
    devices: tuple[str, ...]
    """Accelerators; without any, runs train on the CPU."""


def plan_sweep(sweep: SweepSpec, specs: Sequence[RunSpec], resources: Resources) -> SweepPlan:
    """Plan a sweep for this machine. Raises ``UserError`` for resources that make no sense."""
    wishes = Wishes(execution=resources.execution, processes=resources.processes, slots=resources.slots)
    devices = accelerators()
    runs = [_unborn(sweep, spec, number) for number, spec in enumerate(specs, start=1)]
    plan = make_plan(runs, cores=cores(), devices=devices, wishes=wishes)
    return SweepPlan(sweep, tuple(specs), plan, cores(), devices)


def _unborn(sweep: SweepSpec, spec: RunSpec, number: int) -> Run:
    """Return the run as it would be right after its creation."""
    time = now()
    return Run(
        id="",
        name=f"{sweep.name}-{number}",
        project=sweep.project,
        experiment_id="",
        experiment=sweep.name,
        state=RunState.QUEUED,
        reason=Reason(code=ReasonCode.CREATED, message="planned"),
        spec_json=canonical_json(spec.model_dump(mode="json")),
        spec_hash=spec.hash,
        parent_id=None,
        warm_start=None,
        inherit_optimizer=False,
        priority=0,
        attempt=0,
        step=0,
        total_steps=None,
        epoch=0,
        worker_id=None,
        summary={},
        fingerprints={},
        created_at=time,
        updated_at=time,
        started_at=None,
        ended_at=None,
    )
