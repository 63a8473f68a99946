"""Writes an experiment, or one run of it, into a bundle."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from modelyard._version import __version__
from modelyard.api.bundles.archive import PIECE
from modelyard.api.bundles.bundle import problem
from modelyard.api.bundles.layout import FORMAT, MOST_MEMBERS, VERSION, About, Manifest
from modelyard.api.bundles.progress import Counter, Progress, no_progress
from modelyard.api.bundles.writing import BundleWriter
from modelyard.api.targets import Target
from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.errors import ConflictError, StoreError, UserError
from modelyard.domain.run import FINAL, Run, RunState
from modelyard.store import Store
from modelyard.store.bundles import Kept, Outgoing
from modelyard.store.home import disk_full

_TRIES = 5
_MOST_BLOBS = MOST_MEMBERS // 2


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What a bundle has."""

    experiment: str
    runs: Sequence[str]
    unfinished: Sequence[str]
    """Runs that were neither over nor paused: the bundle has what they had saved, and they arrive as paused."""
    checkpoints: Kept
    blobs: int
    bytes: int
    """Of the whole file."""


def export_bundle(
    store: Store,
    target: Target,
    path: Path,
    *,
    kept: Kept = Kept.ALL,
    actor: str,
    force: bool = False,
    progress: Progress = no_progress,
) -> Exported:
    """Write ``target`` into the file ``path``: whole, or not at all.

    Raises ``UserError`` if the file exists and ``force`` is not set, ``StorageFullError``, ``StoreError``.
    """
    if path.exists() and not (force and path.is_file()):
        hint = "" if path.is_dir() else ", or overwrite it with --force"
        raise UserError(f"{path} exists; choose another name{hint}")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent} is not a folder")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            done = write_bundle(store, target, file, kept=kept, actor=actor, progress=progress)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(path.parent) from error
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return done


def write_bundle(
    store: Store, target: Target, file: BinaryIO, *, kept: Kept, actor: str, progress: Progress = no_progress
) -> Exported:
    """Write ``target`` into an open file. Raises ``UserError`` if it has no runs, ``StoreError``, ``OSError``."""
    if not target.runs:
        raise UserError(f"{target.ref} has no runs to export")
    experiment_id, run_id = target.runs[0].experiment_id, None if target.experiment is not None else target.runs[0].id
    with ExitStack() as holding, BundleWriter(file) as writer:
        with _opened(store, experiment_id, run_id, kept, holding) as (going, blobs):
            try:
                for name, records in going.tables().items():
                    writer.table(name, records)
            except ValidationError as error:
                raise StoreError(f"{target.ref} has something that no bundle can have: {problem(error)}") from error
            writer.points(going.points())
        counter = Counter(progress, sum(blob.size for blob in blobs))
        for blob in blobs:
            writer.blob(blob, _pieces(store, blob, counter))
        writer.manifest(_manifest(target, writer, kept, actor))
    return Exported(
        experiment=target.runs[0].experiment,
        runs=[run.name for run in target.runs],
        unfinished=[run.name for run in target.runs if _is_unfinished(run)],
        checkpoints=kept,
        blobs=len(blobs),
        bytes=file.tell(),
    )


@contextmanager
def _opened(
    store: Store, experiment_id: str, run_id: str | None, kept: Kept, holding: ExitStack
) -> Iterator[tuple[Outgoing, list[BlobRef]]]:
    """Open the records as of one moment, with every blob that they name held until ``holding`` is closed.

    A run in training may replace a checkpoint between the two: then it is tried again.
    """
    for left in reversed(range(_TRIES)):
        with store.bundles.outgoing(experiment_id, run_id, kept) as going:
            blobs = going.blobs()
            if len(blobs) > _MOST_BLOBS:
                raise UserError(f"there are {len(blobs):,} blobs, more than a bundle can have; try --checkpoints best")
            try:
                holding.enter_context(store.blobs.held(blobs))
            except ConflictError:
                if not left:
                    raise
                continue
            yield going, blobs
            return


def _pieces(store: Store, blob: BlobRef, counter: Counter) -> Iterator[bytes]:
    with store.blobs.open(blob.digest) as source:
        while piece := source.read(PIECE):
            counter.add(len(piece))
            yield piece


def _manifest(target: Target, writer: BundleWriter, kept: Kept, actor: str) -> Manifest:
    return Manifest(
        format=FORMAT,
        version=VERSION,
        made_by=f"modelyard {__version__}",
        made_at=datetime.now(UTC),
        actor=actor,
        about=About(
            experiment=target.runs[0].experiment,
            experiment_id=target.runs[0].experiment_id,
            runs=[run.name for run in target.runs],
            checkpoints=kept,
        ),
        members=dict(writer.members),
    )


def _is_unfinished(run: Run) -> bool:
    return run.state not in FINAL and run.state is not RunState.PAUSED
