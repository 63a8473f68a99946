"""What uses the disk."""

from collections.abc import Mapping

from fastapi import APIRouter

from modelyard.server.context import Actor, Here
from modelyard.server.views import View

router = APIRouter(tags=["storage"])


class UsageView(View):
    """Bytes by kind."""

    checkpoints: int
    artifacts: int
    unreferenced: int
    """What a collection would delete."""
    features: int
    database: int
    metrics: int
    logs: int
    total: int
    by_experiment: Mapping[str, int]


class CollectedView(View):
    """What a collection deleted, or would."""

    dry_run: bool
    blobs: int
    temp_files: int
    old_logs: int
    freed_bytes: int
    kept: int


@router.get("/storage")
def usage(here: Here) -> UsageView:
    """Say what takes how much space."""
    return UsageView.model_validate(here.store.gc.usage())


@router.post("/storage/collect")
def collect(here: Here, actor: Actor, *, dry_run: bool = True) -> CollectedView:
    """Delete stored bytes that nothing refers to; unless asked otherwise, only say what that would be."""
    report = here.store.gc.collect(dry_run=dry_run, actor=actor)
    return CollectedView(
        dry_run=dry_run,
        blobs=report.blobs,
        temp_files=report.temp_files,
        old_logs=report.old_logs,
        freed_bytes=report.freed_bytes,
        kept=report.kept,
    )
