"""What deleting frees, counted before and measured afterwards, on each database."""

from modelyard.store import Store
from modelyard.store.footprints import Footprint


def record(store, lease, draft) -> None:
    with store.write(lease) as write:
        write.checkpoint(draft, keep=1)


def test_shared_blobs_are_freed_with_the_last_run_that_needs_them(store: Store, sweep, claim, draft) -> None:
    sweep(store, 2)
    (first, lease), (second, other) = claim(store), claim(store)
    shared = draft(store, 1)
    record(store, lease, shared)
    record(store, other, draft(store, 1))
    own = store.blobs.put([b"a" * 1000])
    with store.write(lease) as write:
        write.artifact("plot", own, step=1)
        write.lines(["x" * 100])
    size = sum(blob.size for blob in shared.files.values())
    expected = Footprint(files=size + 1000, own=1000, records=100)
    assert store.gc.footprint([first.id]) == expected
    assert store.gc.footprint([second.id]) == Footprint(files=size, own=0, records=0)
    together = store.gc.footprint([first.id, second.id])
    assert together == Footprint(files=size + 1000, own=size + 1000, records=100)
    assert next((one.id, one.footprint) for one in store.gc.by_run()) == (first.id, expected)
    (experiment,) = store.gc.by_experiment()
    assert (experiment.id, experiment.footprint) == (first.experiment_id, together)
    assert store.gc.footprint([]) == Footprint()


def test_deleting_frees_at_once_what_was_said(store: Store, sweep, claim, draft) -> None:
    sweep(store, 2)
    (first, lease), (second, other) = claim(store), claim(store)
    saved = draft(store, 1)
    record(store, lease, saved)
    record(store, other, draft(store, 1))
    own = store.blobs.put([b"a" * 1000])
    with store.write(lease) as write:
        write.artifact("plot", own, step=1)
    worker_ids = [lease.worker_id, other.worker_id]
    for worker_id in worker_ids:
        store.leases.unregister(worker_id)
    said = store.gc.footprint([first.id])
    assert store.runs.delete(first.id, actor="ann").freed_bytes == said.own == 1000
    assert all(store.blobs.exists(blob.digest) for blob in saved.files.values())
    event = store.events.read(limit=1000)[-1]
    assert (event.payload.type, event.payload.freed_bytes, event.actor) == ("storage.collected", 1000, "ann")
    said = store.gc.footprint([second.id])
    assert store.experiments.delete(second.experiment_id, actor="ann").freed_bytes == said.own > 0
    assert not any(store.blobs.exists(blob.digest) for blob in saved.files.values())


def test_what_a_living_process_has_pinned_is_nobodys_own(store: Store, claim, draft) -> None:
    run, lease = claim(store)
    saved = draft(store, 1)
    record(store, lease, saved)
    draft(store, 1)  # put once more, and not recorded yet
    store.leases.unregister(lease.worker_id)
    assert store.gc.footprint([run.id]).own == 0
    assert store.runs.delete(run.id, actor="ann").freed_bytes == 0
    assert all(store.blobs.exists(blob.digest) for blob in saved.files.values())
