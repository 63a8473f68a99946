"""Runs that can train as one model are claimed together."""

from modelyard.domain.config import SweepSpec
from modelyard.domain.control import SetPriority
from modelyard.scheduler.search.expand import expand


def test_runs_of_the_same_structure_come_first_within_a_priority(store):
    sizes = [16, 32, 16, 32, 32]
    runs = [{"model": {"name": "mlp", "hidden_sizes": [size]}, "seed": seed} for seed, size in enumerate(sizes)]
    search = {"method": "list", "runs": runs}
    spec = SweepSpec.model_validate({"name": "w", "run": {"data": {"source": "digits"}}, "search": search})
    store.experiments.create(spec, expand(spec), actor="test")
    store.runs.request(store.runs.get("w-3").id, SetPriority(priority=5), actor="test")
    wanted = store.runs.get("w-2").structure
    assert wanted == store.runs.get("w-5").structure != store.runs.get("w-1").structure
    worker = store.leases.register()
    names = [run.name for _ in runs for run, _ in store.leases.claim(worker, limit=1, structures=[wanted])]
    assert names == ["w-3", "w-2", "w-4", "w-5", "w-1"]


def test_structures_are_taken_in_the_order_that_is_asked_for(store):
    sizes = [8, 16, 32, 8, 16, 32]
    runs = [{"model": {"name": "mlp", "hidden_sizes": [size]}, "seed": seed} for seed, size in enumerate(sizes)]
    spec = SweepSpec.model_validate({"name": "w", "search": {"method": "list", "runs": runs}})
    store.experiments.create(spec, expand(spec), actor="test")
    third, second = (store.runs.get(name).structure for name in ("w-3", "w-2"))
    worker = store.leases.register()
    wanted = [third, second, third]
    names = [run.name for _ in runs for run, _ in store.leases.claim(worker, limit=1, structures=wanted)]
    assert names == ["w-3", "w-6", "w-2", "w-5", "w-1", "w-4"]
