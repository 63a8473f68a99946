"""Takes a bundle in: everything is checked first, then blobs are put, then one transaction writes the rest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from modelyard.api.bundles.archive import Archive
from modelyard.api.bundles.bundle import Bundle
from modelyard.api.bundles.progress import Counter, Progress, no_progress
from modelyard.api.bundles.searches import ended_log
from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.errors import StoreError, UserError
from modelyard.domain.run import RunState
from modelyard.domain.search_log import Entry
from modelyard.store import Store
from modelyard.store.bundles import Arrival, Contents, read_contents, state_here
from modelyard.store.home import disk_full
from modelyard.store.reserve import free_bytes

_ROOM = 16 << 20
"""Bytes that are to be free besides what the blobs take."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did."""

    experiment: str
    """Its name here."""
    experiment_id: str
    original_name: str
    """Its name where it comes from; another one where it is taken here."""
    runs: Sequence[str]
    """Names of the runs that came."""
    present: Sequence[str]
    """Names of those that were there already; nothing was changed about them."""
    paused: Sequence[str]
    """Those that were not over where they come from: they wait until somebody resumes them."""
    search_ended: bool
    """Whether they come from a search that was not over; here it is."""


def import_bundle(
    store: Store, path: Path, *, actor: str, name: str = "", progress: Progress = no_progress
) -> Imported:
    """Take in what ``path`` has and the home has not. Importing it again changes nothing.

    ``name`` is what errors call the file; its own name by default.
    Raises ``UserError`` for a file that is no sound bundle, ``ConflictError`` if something else has one of its ids,
    ``StorageFullError``, ``StoreError``. Whatever is raised, nothing was imported.
    """
    with _told(path, name or path.name), Archive(path) as archive:
        bundle = Bundle(archive)
        contents = read_contents(bundle)
        entries = ended_log(contents)
        counter = Counter(progress, 2 * sum(bundle.blobs().values()))
        for digest in bundle.blobs():
            for _ in bundle.blob(digest, counter.add):
                pass
        arrival = store.bundles.compare(contents)
        if not arrival.names:
            return _imported(arrival, contents, entries)
        needed = contents.needed_by(arrival.names)
        _check_room(store, bundle, needed)
        put: list[BlobRef] = []
        try:
            for digest in sorted(needed):
                put.append(store.blobs.put(bundle.blob(digest, counter.add)))  # noqa: PERF401 - given up after an error
            arrival = store.bundles.add(bundle, contents, entries, blobs=needed, actor=actor, bundle=bundle.digest)
        except BaseException:
            _give_up(store, put)
            raise
        if not arrival.names:  # somebody else was faster
            _give_up(store, put)
    return _imported(arrival, contents, entries)


@contextmanager
def _told(path: Path, name: str) -> Iterator[None]:
    """Say which file an error is about."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{name}: {error}. Nothing was imported.") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _check_room(store: Store, bundle: Bundle, needed: set[str]) -> None:
    """Raise ``StorageFullError`` if the blobs cannot fit, before the disk is filled with some of them."""
    more = sum(size for digest, size in bundle.blobs().items() if digest in needed and not store.blobs.exists(digest))
    if free_bytes(store.home.path) < more + _ROOM:
        raise disk_full(store.home.path)


def _give_up(store: Store, put: Sequence[BlobRef]) -> None:
    with suppress(StoreError):  # the pins go with this process at the latest
        store.blobs.unpin(put)


def _imported(arrival: Arrival, contents: Contents, entries: Sequence[Entry]) -> Imported:
    came = [run for run in contents.runs.values() if run.id in arrival.names]
    return Imported(
        experiment=arrival.experiment,
        experiment_id=arrival.experiment_id,
        original_name=arrival.original_name,
        runs=list(arrival.names.values()),
        present=arrival.present,
        paused=[arrival.names[run.id] for run in came if state_here(run) is RunState.PAUSED],
        search_ended=arrival.with_experiment and len(entries) > len(contents.entries) and bool(came),
    )
