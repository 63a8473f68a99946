"""Experiments on their way out of a home and into another one: ``Bundles`` reads and writes their rows."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from modelyard.domain.errors import ConflictError
from modelyard.domain.search_log import Entry
from modelyard.store.bundles.arrival import Arrival, decide
from modelyard.store.bundles.contents import Contents, Source, read_contents
from modelyard.store.bundles.incoming import Incoming, state_here
from modelyard.store.bundles.outgoing import Kept, Outgoing
from modelyard.store.bundles.records import POINTS, TABLES
from modelyard.store.database import Database
from modelyard.store.doorbell import Doorbell
from modelyard.store.home import Home

__all__ = [
    "POINTS",
    "TABLES",
    "Arrival",
    "Bundles",
    "Contents",
    "Kept",
    "Outgoing",
    "Source",
    "read_contents",
    "state_here",
]


class Bundles:
    """Reads what goes into a bundle, and writes what came in one."""

    def __init__(self, home: Home, database: Database, doorbell: Doorbell) -> None:
        self._home = home
        self._database = database
        self._doorbell = doorbell

    @contextmanager
    def outgoing(self, experiment_id: str, run_id: str | None, kept: Kept) -> Iterator[Outgoing]:
        """Open an experiment, or one run of it, as it is now, whatever is written meanwhile."""
        with self._database.read() as connection:
            yield Outgoing(connection, experiment_id, run_id, kept)

    def compare(self, contents: Contents) -> Arrival:
        """Say what an import would do. Raises ``ConflictError`` if it cannot be."""
        with self._database.read() as connection:
            return decide(connection, contents)

    def add(
        self,
        source: Source,
        contents: Contents,
        entries: Sequence[Entry],
        *,
        blobs: Collection[str],
        actor: str,
        bundle: str,
    ) -> Arrival:
        """Write what is new, in one transaction; ``blobs`` were put by this process and are released.

        ``entries`` are the log of the experiment's search as it is to be here. Raises ``ConflictError``, ``UserError``
        if the source changed, ``StoreError``; then nothing was written.
        """
        with self._database.write() as connection:
            arrival = decide(connection, contents)
            if not contents.needed_by(arrival.names) <= set(blobs):
                raise ConflictError("a run of the bundle was deleted here meanwhile; try again")
            if arrival.names:
                incoming = Incoming(connection, self._home, source, contents, arrival)
                incoming.write(entries, blobs=blobs, actor=actor, bundle=bundle)
        self._doorbell.ring()
        return arrival
