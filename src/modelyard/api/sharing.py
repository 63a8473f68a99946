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
    each = shared_by_run(specs, samples)
    steps = sum(
        spec.training.epochs * DataPlan.of(spec, samples=found.train).steps_per_epoch
        for spec, found in zip(specs, samples, strict=True)
        if found is not None
    )
    return SharedSteps(steps=steps, shared=sum(each))


def shared_by_run(specs: Sequence[RunSpec], samples: Sequence[Samples | None]) -> tuple[int, ...]:
    """Return how many first steps of each run one before it trains; 0 where the data are not known."""
    shared = []
    before: dict[str, list[RunSpec]] = {}
    for spec, found in zip(specs, samples, strict=True):
        steps = 0
        key = None if found is None else past_key(spec)
        if found is not None and key:
            per_epoch = DataPlan.of(spec, samples=found.train).steps_per_epoch
            others = before.setdefault(key, [])
            steps = max((fork_step(one, spec, steps_per_epoch=per_epoch) for one in others), default=0)
            if spec not in others:
                others.append(spec)
        shared.append(steps)
    return tuple(shared)
