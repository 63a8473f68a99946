"""What uses the disk."""

from typing import Annotated

from fastapi import APIRouter, Query

from modelyard.api.targets import find_runs
from modelyard.server.context import Actor, Here
from modelyard.server.storage import (
    CollectedView,
    FootprintView,
    UsageView,
    collected_view,
    footprint_view,
    usage_view,
)

router = APIRouter(tags=["storage"])
MOST_REFS = 10_000


@router.get("/storage")
def usage(here: Here) -> UsageView:
    """Say what takes how much space."""
    return usage_view(here.store)


@router.get("/storage/footprint")
def footprint(
    here: Here,
    target: Annotated[
        list[str], Query(min_length=1, max_length=MOST_REFS, description="ids or names of runs or experiments")
    ],
) -> FootprintView:
    """Say what runs take together, and what deleting them would free: not what runs beyond them need as well."""
    return footprint_view(here.store.gc.footprint([run.id for run in find_runs(here.store, target)]))


@router.post("/storage/collect")
def collect(here: Here, actor: Actor, *, dry_run: bool = True) -> CollectedView:
    """Delete stored bytes that nothing refers to; unless asked otherwise, only say what that would be."""
    return collected_view(here.store.gc.collect(dry_run=dry_run, actor=actor), dry_run=dry_run)
