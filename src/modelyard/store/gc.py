"""Deleting blobs that nobody needs, while others write.

A blob is needed if a reference names it, or a pin of a living process. Both are read anew under the write lock right
before a blob is taken away, and a writer commits its pin before it puts its file in place (see ``blobs``). Taking away
is a rename, so the lock is held for milliseconds; the bytes are freed after it.
"""

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from modelyard.domain.events import GarbageCollected
from modelyard.store import eventfeed, footprints, pins, temporary
from modelyard.store.database import Database
from modelyard.store.footprints import Footprint, Owner
from modelyard.store.home import Home, translated_os_errors
from modelyard.store.schema import blob_refs, runs
from modelyard.store.usage import StorageUsage, usage

_NAME = re.compile(r"[0-9a-f]{64}")  # what is called otherwise is not ours to delete
_BATCH = 256
_LOG_SECONDS = 30 * 24 * 3600.0
"""The log of an engine process is kept so long after its last line."""
_PAUSE = 0.005  # seconds in which other writers get their turn between two batches


@dataclass(frozen=True, kw_only=True)
class GcReport:
    """What a collection did; a dry run says what it would do."""

    blobs: int
    """Blobs deleted."""
    freed_bytes: int
    """Bytes of all that was deleted."""
    temp_files: int
    """Temporary files of dead processes, deleted."""
    old_logs: int
    """Logs of engine processes that wrote nothing for 30 days, deleted."""
    kept: int
    """Blobs that something needs."""


class GarbageCollector:
    """Finds and deletes what nobody needs, and says what the rest is for."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home = home
        self._database = database
        self._folder = home.blobs / "blobs" / "sha256"
        self._temporary = home.blobs / "temporary"

    def collect(self, *, dry_run: bool = False, actor: str = "gc") -> GcReport:
        """Delete every blob without a reference or a living pin, and what dead processes left behind.

        Safe beside any number of writers and collectors. Raises ``StoreError``.
        """
        with translated_os_errors(self._home.blobs):
            left_behind = _freed(temporary.abandoned(self._temporary, time.time()), dry_run=dry_run)
            old_logs = _freed(self._old_logs(), dry_run=dry_run)
            if not dry_run:
                with self._database.write() as connection:
                    pins.drop_dead(connection)
            names = sorted(path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
            freed = self._collect_named(names, dry_run=dry_run)
        return self._report(
            freed,
            kept=len(names) - len(freed),
            left_behind=left_behind,
            old_logs=old_logs,
            actor=None if dry_run else actor,
        )

    def missing(self) -> list[str]:
        """Return the digests that something refers to and whose file is gone or has another size."""
        with self._database.read() as connection:
            referenced = connection.execute(select(blob_refs.c.digest, blob_refs.c.size).distinct()).all()
        return [row.digest for row in referenced if not _has_size(self._path(row.digest), row.size)]

    def collect_only(self, digests: Collection[str], *, actor: str) -> GcReport:
        """Delete those of some blobs that nobody needs any more, as ``collect`` does. Raises ``StoreError``."""
        names = sorted(digest.removeprefix("sha256:") for digest in digests)
        with translated_os_errors(self._home.blobs):
            freed = self._collect_named(names, dry_run=False)
        return self._report(freed, kept=len(names) - len(freed), actor=actor)

    def by_run(self) -> list[Owner]:
        """Return what each run takes, in order of creation."""
        with self._database.read() as connection:
            return footprints.by_run(connection)

    def by_experiment(self) -> list[Owner]:
        """Return what each experiment takes, in order of creation."""
        with self._database.read() as connection:
            return footprints.by_experiment(connection)

    def footprint(self, run_ids: Collection[str]) -> Footprint:
        """Return what some runs take together, and what deleting all of them would free."""
        with self._database.read() as connection:
            return footprints.of_all(connection, runs.c.id.in_(run_ids))

    def usage(self) -> StorageUsage:
        """Return what the bytes on the disk are for."""
        with self._database.read() as connection, translated_os_errors(self._home.blobs):
            return usage(connection, self._home)

    def _report(
        self,
        freed: Sequence[int],
        *,
        kept: int,
        left_behind: Sequence[int] = (),
        old_logs: Sequence[int] = (),
        actor: str | None,
    ) -> GcReport:
        """Put together what was deleted; an event tells of it unless nobody (a dry run) did it."""
        report = GcReport(
            blobs=len(freed),
            freed_bytes=sum(freed) + sum(left_behind) + sum(old_logs),
            temp_files=len(left_behind),
            old_logs=len(old_logs),
            kept=kept,
        )
        if report.blobs and actor is not None:
            with self._database.write() as connection:
                payload = GarbageCollected(blobs=report.blobs, freed_bytes=report.freed_bytes)
                eventfeed.append(connection, payload, actor=actor)
        return report

    def _collect_named(self, names: Sequence[str], *, dry_run: bool) -> list[int]:
        freed: list[int] = []
        for start in range(0, len(names), _BATCH):
            freed += self._collect_batch(names[start : start + _BATCH], dry_run=dry_run)
        return freed

    def _collect_batch(self, names: Sequence[str], *, dry_run: bool) -> list[int]:
        """Delete those of ``names`` that nobody needs, and return their sizes."""
        digests = [f"sha256:{name}" for name in names]
        with self._database.read() as connection:
            candidates = sorted(set(digests) - pins.needed(connection, digests))
        if dry_run:
            return _freed(map(self._path, candidates), dry_run=True)
        if not candidates:
            return []
        taken = []
        with self._database.write() as connection:
            for digest in sorted(set(candidates) - pins.needed(connection, candidates)):
                target = temporary.new_path(self._temporary)
                with suppress(FileNotFoundError):  # another collector was faster
                    self._path(digest).rename(target)
                    taken.append(target)
        sizes = _freed(taken, dry_run=False)
        time.sleep(_PAUSE)
        return sizes

    def _old_logs(self) -> Iterator[Path]:
        """Yield the logs of engine processes that wrote nothing for long."""
        newest = time.time() - _LOG_SECONDS
        for path in self._home.logs.glob("*.log"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < newest:
                    yield path

    def _path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _freed(paths: Iterable[Path], *, dry_run: bool) -> list[int]:
    """Delete files, and return the size in bytes of each that was there."""
    sizes = []
    for path in paths:
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            if not dry_run:
                path.unlink()
            sizes.append(size)
    return sizes
