"""Bundles: an experiment or a run as a file, out of this home and into it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from modelyard.api.bundles import Kept, import_bundle, write_bundle
from modelyard.api.operations import settle
from modelyard.api.targets import EXPERIMENT_PREFIX, RUN_PREFIX, find_target
from modelyard.domain.errors import UserError
from modelyard.server.context import Actor, Here
from modelyard.server.views import View
from modelyard.store import Store, temporary
from modelyard.store.home import translated_os_errors

router = APIRouter(tags=["bundles"])
MOST_BYTES = 1 << 40
"""A larger bundle is refused; the disk refuses most of them before."""
PIECE = 1 << 20


class ImportedView(View):
    """What an import did."""

    experiment: str
    """Its name here."""
    experiment_id: str
    original_name: str
    runs: Sequence[str]
    """Names of the runs that came."""
    present: Sequence[str]
    """Those that were here already; nothing was changed about them."""
    paused: Sequence[str]
    """Those that were not over where they come from."""
    search_ended: bool


_ZIP = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
_SENT: dict[int | str, dict[str, Any]] = {HTTPStatus.OK: {"description": "A bundle", "content": _ZIP}}


@router.get("/runs/{ref}/bundle", response_class=StreamingResponse, responses=_SENT)
def export_run(here: Here, actor: Actor, ref: str, checkpoints: Kept = Kept.ALL) -> StreamingResponse:
    """Send a run with all that it recorded, as a file for another home."""
    return _bundle(here.store, f"{RUN_PREFIX}{ref}", checkpoints, actor)


@router.get("/experiments/{ref}/bundle", response_class=StreamingResponse, responses=_SENT)
def export_experiment(here: Here, actor: Actor, ref: str, checkpoints: Kept = Kept.ALL) -> StreamingResponse:
    """Send an experiment with all of its runs, as a file for another home."""
    return _bundle(here.store, f"{EXPERIMENT_PREFIX}{ref}", checkpoints, actor)


@router.post(
    "/bundles",
    status_code=HTTPStatus.CREATED,
    max_body_size=MOST_BYTES,
    openapi_extra={"requestBody": {"required": True, "content": _ZIP}},
)
async def import_(here: Here, actor: Actor, request: Request) -> ImportedView:
    """Take in a bundle, which is the body of the request; importing it again changes nothing."""
    path = temporary.new_path(here.store.blobs.temporary)
    try:
        await _receive(request, path, here.store)
        take_in = partial(import_bundle, here.store, path, actor=actor, name="the bundle")
        return ImportedView.model_validate(await run_in_threadpool(take_in))
    finally:
        path.unlink(missing_ok=True)


async def _receive(request: Request, path: Path, store: Store) -> None:
    """Write the body of a request into a file."""
    try:
        with translated_os_errors(store.home.path), path.open("xb") as file:
            async for piece in request.stream():
                await run_in_threadpool(file.write, piece)
    except ClientDisconnect as error:
        raise UserError("the bundle was cut off on its way; send it again") from error


def _bundle(store: Store, ref: str, kept: Kept, actor: str) -> StreamingResponse:
    """Build a bundle in the home, so that an error can still be told, and send it; nothing of it stays."""
    settle(store)
    target = find_target(store, ref)
    path = temporary.new_path(store.blobs.temporary)
    with translated_os_errors(store.home.path), ExitStack() as on_error:
        file = on_error.enter_context(path.open("x+b"))
        path.unlink()  # what is open can be written and read until it is closed, whoever goes away before
        done = write_bundle(store, target, file, kept=kept, actor=actor)
        on_error.pop_all()
    name = done.runs[0] if target.experiment is None else done.experiment
    headers = {
        "content-disposition": f'attachment; filename="{name}.zip"',
        "content-length": str(done.bytes),
        "content-encoding": "identity",  # it is packed already
    }
    return StreamingResponse(_pieces(file), media_type="application/zip", headers=headers)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece
