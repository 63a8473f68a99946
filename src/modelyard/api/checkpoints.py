"""Finds and exports checkpoints."""

import os
import shutil
from pathlib import Path

from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.errors import CorruptBlobError, NotFoundError, UserError
from modelyard.store import Store


def find_checkpoint(store: Store, run_id: str, which: str) -> Checkpoint:
    """Find a checkpoint of a run: ``last``, ``best``, a step, or an id. Raises ``NotFoundError``."""
    if which == "last":
        return store.checkpoints.find(run_id, "last")
    if which == "best":
        return store.checkpoints.find(run_id, "best")
    if which.isdecimal() and len(which) < 9:  # ids are longer
        return store.checkpoints.find(run_id, int(which))
    return store.checkpoints.get(which)


def best_or_last(store: Store, run_id: str) -> Checkpoint:
    """Return the best checkpoint, or the newest one if no evaluation has picked a best one yet."""
    try:
        return store.checkpoints.find(run_id, "best")
    except NotFoundError:
        return store.checkpoints.find(run_id, "last")


def export_checkpoint(store: Store, checkpoint: Checkpoint, folder: Path) -> list[Path]:
    """Copy a checkpoint's files into a new folder, each checked against its digest.

    Raises ``UserError`` if the folder exists, ``CorruptBlobError`` for a damaged file; then nothing is left behind.
    """
    if folder.exists():
        raise UserError(f"{folder} exists; choose another name")
    if not folder.parent.is_dir():
        raise UserError(f"{folder.parent} is not a folder")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        for name, blob in checkpoint.files.items():
            verify_file(store, checkpoint, name, blob.digest)
            with store.blobs.open(blob.digest) as source, (temporary / Path(name).name).open("wb") as target:
                shutil.copyfileobj(source, target, length=1 << 20)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise
    return [folder / Path(name).name for name in checkpoint.files]


def verify_file(store: Store, checkpoint: Checkpoint, name: str, digest: str) -> None:
    """Compare a file of a checkpoint with its digest. Raises ``CorruptBlobError`` that says what to do."""
    try:
        store.blobs.verify(digest)
    except CorruptBlobError as error:
        message = f"checkpoint {checkpoint.id}: {name} is damaged; export an older one (modelyard checkpoints list)"
        raise CorruptBlobError(digest, message) from error
