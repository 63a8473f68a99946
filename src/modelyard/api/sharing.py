"""How many steps of a sweep are trained once for several runs, as far as that can be told before."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.api.datacheck import Samples
from modelyard.domain.config import RunSpec
from modelyard.domain.past import past_key
from modelyard.engine.data_plan import DataPlan
from modelyard.tasks.shared_past import fork_step


@dataclass(frozen=True, kw_only=True)
class SharedSteps:
    """Optimizer steps of all runs of a sweep."""

    steps: int
    """In all, if none ends early."""
    shared: int
    """Of these: those that need not be taken, since another run takes them."""


def shared_in_sweep(specs: Sequence[RunSpec], samples: Sequence[Samples | None]) -> SharedSteps:
    """Count the steps of runs whose data are known, each of which may begin like any before it."""
    steps = shared = 0
    before: dict[str, list[RunSpec]] = {}
    for spec, found in zip(specs, samples, strict=True):
        if found is None:
            continue
        per_epoch = DataPlan.of(spec, samples=found.train).steps_per_epoch
        steps += spec.training.epochs * per_epoch
        key = past_key(spec)
        if key:
            others = before.setdefault(key, [])
            shared += max((fork_step(one, spec, steps_per_epoch=per_epoch) for one in others), default=0)
            if spec not in others:
                others.append(spec)
    return SharedSteps(steps=steps, shared=shared)
