"""A plan measures as many runs at a time as a process will have of a structure."""

from typing import Any

import pytest

from modelyard.api.estimating import takers
from modelyard.domain.config import RunSpec
from modelyard.domain.structure import structure_hash
from modelyard.scheduler.planner import make_plan


def _specs(depths: dict[int, int]) -> list[RunSpec]:
    def spec(depth: int) -> RunSpec:
        model: dict[str, Any] = {"name": "mlp", "hidden_sizes": [16] * depth}
        return RunSpec.model_validate({"model": model})

    return [spec(depth) for depth, count in depths.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("depths", "cores", "expected"),
    [
        ({1: 8}, 2, {1: 2}),  # one structure is shared out to both processes
        ({1: 4, 2: 4}, 2, {1: 1, 2: 1}),  # each process takes one of them
        ({1: 4, 2: 4}, 1, {1: 1, 2: 1}),
        ({1: 1}, 4, {1: 1}),
    ],
)
def test_processes_that_take_a_structure(depths: dict[int, int], cores: int, expected: dict[int, int]) -> None:
    specs = _specs(depths)
    plan = make_plan(specs, cores=cores, devices=())
    found = {depth: takers(plan, structure_hash(_specs({depth: 1})[0]), count) for depth, count in depths.items()}
    assert found == expected
