"""What uses the disk, and what a deletion or a collection frees, as the API tells it."""

from collections.abc import Sequence

from modelyard.server.views import View
from modelyard.store import Store
from modelyard.store.footprints import Footprint, Owner
from modelyard.store.gc import GcReport

MOST_RUNS = 500
"""So many runs are listed: those that take most."""


class FootprintView(View):
    """What runs take together, in bytes."""

    files: int
    """Checkpoints, artifacts and code, each file counted once."""
    own: int
    """Of these, what nobody else needs: deleting frees it."""
    records: int
    """Metrics and logs, in the database. Its file keeps its size and uses the space again."""


class OwnerView(View):
    """What one run takes, or one experiment with all of its runs."""

    id: str
    name: str
    experiment_id: str
    experiment: str
    footprint: FootprintView


class UsageView(View):
    """Bytes by kind, by experiment and by run."""

    checkpoints: int
    artifacts: int
    unreferenced: int
    """What a collection would delete."""
    pinned: int
    """What a process at work has written and not recorded yet."""
    features: int
    database: int
    metrics: int
    """Part of the database."""
    logs: int
    """Part of the database."""
    processes: int
    """Logs of engine processes."""
    other: int
    reserve: int
    total: int
    free: int
    """What the disk has left."""
    capacity: int
    """The size of the disk."""
    experiments: Sequence[OwnerView]
    """Those that take most come first."""
    runs: Sequence[OwnerView]
    """Those that take most come first; no more than 500."""
    run_count: int


class CollectedView(View):
    """What was deleted, or would be."""

    dry_run: bool
    blobs: int
    temp_files: int
    old_logs: int
    freed_bytes: int
    kept: int
    """Blobs that something needs."""


def usage_view(store: Store) -> UsageView:
    """Measure a home."""
    usage = store.gc.usage()
    runs = _by_size(store.gc.by_run())
    kinds = UsageView.model_fields.keys() - {"experiments", "runs", "run_count"}
    return UsageView(
        **{name: getattr(usage, name) for name in kinds},
        experiments=_by_size(store.gc.by_experiment()),
        runs=runs[:MOST_RUNS],
        run_count=len(runs),
    )


def footprint_view(footprint: Footprint) -> FootprintView:
    """Return the view of what runs take."""
    return FootprintView.model_validate(footprint)


def collected_view(report: GcReport, *, dry_run: bool = False) -> CollectedView:
    """Return the view of what was deleted."""
    return CollectedView(
        dry_run=dry_run,
        blobs=report.blobs,
        temp_files=report.temp_files,
        old_logs=report.old_logs,
        freed_bytes=report.freed_bytes,
        kept=report.kept,
    )


def _by_size(owners: Sequence[Owner]) -> list[OwnerView]:
    found = sorted(owners, key=lambda one: -(one.footprint.files + one.footprint.records))
    return [OwnerView.model_validate(one) for one in found]
