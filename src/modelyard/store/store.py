"""The store as one object, and how to open it."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from modelyard.domain.run import Lease
from modelyard.store.alerts import Alerts
from modelyard.store.artifacts import Artifacts
from modelyard.store.blobs import Blobs
from modelyard.store.bundles import Bundles
from modelyard.store.checkpoints import Checkpoints
from modelyard.store.controls import Controls
from modelyard.store.credentials import Credentials
from modelyard.store.database import Database
from modelyard.store.devices import Devices
from modelyard.store.doorbell import Doorbell
from modelyard.store.eventfeed import Events
from modelyard.store.experiments import Experiments
from modelyard.store.gc import GarbageCollector
from modelyard.store.home import Home
from modelyard.store.leased_write import LeasedWrite, leased_write, leased_writes
from modelyard.store.leases import Leases
from modelyard.store.logs import Logs
from modelyard.store.measurements import Measurements
from modelyard.store.metrics import Metrics
from modelyard.store.runs import Runs
from modelyard.store.saved_views import SavedViews
from modelyard.store.searches import Searches
from modelyard.store.users import Users
from modelyard.store.vault import Vault


class Store:
    """Everything that is kept. Threads may share one store, and processes one home."""

    def __init__(self, home: Home, database: Database) -> None:
        self.home = home
        self.database = database
        self.doorbell = Doorbell(home.doorbell, silent=home.is_read_only)
        self.experiments = Experiments(home, database, self.doorbell)
        self.runs = Runs(home, database, self.doorbell)
        self.searches = Searches(home, database, self.doorbell)
        self.leases = Leases(database)
        self.controls = Controls(database)
        self.checkpoints = Checkpoints(database)
        self.artifacts = Artifacts(database)
        self.events = Events(database)
        self.metrics = Metrics(database)
        self.logs = Logs(database)
        self.saved_views = SavedViews(database)
        self.blobs = Blobs(home, database)
        self.bundles = Bundles(home, database, self.doorbell)
        self.measurements = Measurements(home)
        self.users = Users(database)
        self.credentials = Credentials(database)
        self.vault = Vault(home, database)
        self.alerts = Alerts(database)
        self.devices = Devices(home)
        self.gc = GarbageCollector(home, database)

    def child_variables(self) -> Mapping[str, str]:
        """Return what a child process needs in its environment: secrets, and a database server's URL with password."""
        secrets = dict(self.vault.environment())
        if not self.database.is_sqlite:
            secrets["MODELYARD_DATABASE_URL"] = self.database.url.render_as_string(hide_password=False)
        return secrets

    def write(self, lease: Lease) -> AbstractContextManager[LeasedWrite]:
        """Open a transaction on the run that ``lease`` owns. Raises ``FencedError`` if the lease is outdated."""
        return leased_write(self.database, lease)

    def write_together(self) -> AbstractContextManager[Callable[[Lease], LeasedWrite]]:
        """Open one transaction for several runs: the function opens that of a lease; it raises ``FencedError``."""
        return leased_writes(self.database)

    def close(self) -> None:
        """Close all connections."""
        self.doorbell.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def home_folder(home: Path | str | None = None) -> Home:
    """Return the folder ``home``, or what ``MODELYARD_HOME`` names, else ``~/.modelyard``; nothing is created."""
    return Home(Path(home or os.environ.get("MODELYARD_HOME") or "~/.modelyard"))


def open_store(
    home: Path | str | None = None, *, database_url: str | None = None, spend_reserve: bool = False
) -> Store:
    """Open the store in ``home``, creating or migrating it where needed.

    By default the environment decides: ``MODELYARD_HOME`` (else ``~/.modelyard``) and ``MODELYARD_DATABASE_URL`` (else
    SQLite in the home); an empty URL is SQLite in any case.

    ``spend_reserve`` is for whoever means to free space: on a full disk it gives up the bytes that
    were set aside, without which the database could not be opened. Raises ``SchemaVersionError`` for a home of a newer
    version, which stays as it is; ``StoreError``. A home that cannot be written can be read, and every write raises.
    """
    folder = home_folder(home)
    if spend_reserve:
        folder.reserve.spend()
    folder.prepare()
    database = Database(folder, os.environ.get("MODELYARD_DATABASE_URL") if database_url is None else database_url)
    try:
        database.open()
        return Store(folder, database)
    except BaseException:
        database.close()
        raise
