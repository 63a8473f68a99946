"""The files of checkpoints."""

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from modelyard.api.archive import checkpoint_archive
from modelyard.api.checkpoints import find_checkpoint
from modelyard.server.context import Here

router = APIRouter(tags=["checkpoints"])


class Archive(StreamingResponse):
    """A zip archive that is made while it is sent."""

    media_type = "application/zip"


@router.get("/runs/{ref}/checkpoints/{which}/archive", response_class=Archive)
def archive(here: Here, ref: str, which: str) -> Archive:
    """Download a checkpoint's files, checked: ``last``, ``best``, a step, or an id."""
    run = here.store.runs.get(ref)
    checkpoint = find_checkpoint(here.store, run.id, which)
    headers = {
        "content-disposition": f'attachment; filename="{run.name}-step-{checkpoint.step}.zip"',
        "content-encoding": "identity",  # weights do not shrink: the server need not try
    }
    return Archive(checkpoint_archive(here.store, checkpoint), headers=headers)
