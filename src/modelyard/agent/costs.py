"""What runs are known to cost on this machine, so that processes get equal shares of the work."""

from collections.abc import Sequence

from modelyard.agent.devices import DeviceInfo
from modelyard.domain.config import RunSpec
from modelyard.domain.measurement import Situation
from modelyard.domain.structure import structure_hash, workload_hash
from modelyard.scheduler.estimates import Runs, Tried, estimate
from modelyard.store.circumstances import circumstances
from modelyard.store.measurements import Measurements


def known_costs(
    measurements: Measurements, specs: Sequence[RunSpec], *, device: DeviceInfo | None, processes: int
) -> list[float] | None:
    """Return the seconds that each run takes, from what was measured before; None unless that is known of all.

    ``device`` is one of the accelerators, None for the CPU, on which so many ``processes`` train side by side.
    """
    groups: dict[str, list[int]] = {}
    for index, spec in enumerate(specs):
        groups.setdefault(structure_hash(spec), []).append(index)
    costs: dict[int, float] = {}
    for indices in groups.values():
        runs = [specs[index] for index in indices]
        name = "cpu" if device is None else device.model or device.kind
        known = measurements.recall(Situation(workload=workload_hash(runs), device=name), circumstances())
        tried = [Tried(way=way, measurement=one) for way, one in known.ways.items()]
        what = Runs(specs=tuple(runs), together=len(runs), processes=processes, memory_bytes=None)
        seconds = estimate(what, known.facts, tried).run_seconds
        costs |= {index: one for index, one in zip(indices, seconds, strict=True) if one is not None}
    return [costs[index] for index in range(len(specs))] if len(costs) == len(specs) else None
