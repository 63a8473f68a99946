"""The database: SQLite in the home folder, or PostgreSQL by URL.

There is one writer at a time in both. SQLite works that way; on PostgreSQL every write transaction takes one advisory
lock. So a decision made inside ``write()`` still holds at its commit, and events become visible in the order of their
numbers. Readers never wait: ``read()`` is a snapshot.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from modelyard.domain.errors import MissingExtraError, ModelyardError, SchemaVersionError, StoreError, UserError
from modelyard.store.home import Home, disk_full
from modelyard.store.migrations import REVISIONS, VERSION_TABLE
from modelyard.store.read_only import connect
from modelyard.store.reserve import is_nearly_full

BUSY_SECONDS = 30
"""How long a writer waits for another one."""

_WRITER_LOCK = 0x6D6F64656C  # any number that is ours: "model"
_FULL_CODES = {"SQLITE_FULL"}
_IO_CODES = {"SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE", "SQLITE_CANTOPEN"}


class _ThreadState(threading.local):
    """Whether the present thread is in a write transaction."""

    writes = False


class Database:
    """Transactions on the store's tables. Threads and processes may share one database."""

    def __init__(self, home: Home, url: str | None = None) -> None:
        self._home = home
        self.url = _parse(url) if url else URL.create("sqlite", database=str(home.database))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.read_only = self.is_sqlite and home.is_read_only
        """Whether every write raises ``StoreError``; what dead processes left behind stays as it is."""
        try:
            self._engine = create_engine(
                self.url,
                hide_parameters=True,  # an error message must not carry what users store
                pool_pre_ping=not self.is_sqlite,  # a server may have been restarted since
                connect_args={"timeout": BUSY_SECONDS} if self.is_sqlite else {"connect_timeout": BUSY_SECONDS},
                **(self._only_reading() if self.read_only else {"max_overflow": -1}),
            )
        except ModuleNotFoundError as error:
            raise MissingExtraError("PostgreSQL needs one more package: pip install 'modelyard[postgres]'") from error
        self._thread = _ThreadState()
        if self.is_sqlite:
            event.listen(self._engine, "connect", _configure_sqlite)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a snapshot: all queries inside see the same moment. It must not write."""
        with self._translated(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open the one write transaction; it is committed at the end, or rolled back whole by any exception.

        Raises ``StorageFullError`` or ``StoreError`` if it cannot be committed. Never open one inside another.
        """
        assert not self._thread.writes, "already in a write transaction: store blobs before it, not inside"
        if self.read_only:
            raise StoreError(f"{self._home.path} cannot be written; check who owns the folder, and how it is mounted")
        self._thread.writes = True
        try:
            with self._translated(), self._engine.begin() as connection:
                self._lock(connection)
                yield connection
        finally:
            self._thread.writes = False

    def open(self) -> None:
        """Create or migrate the tables where needed.

        Raises ``SchemaVersionError`` for a newer schema, ``StoreError`` for a home whose database is gone.
        """
        if self.is_sqlite and not self._home.database.exists():
            self._refuse_lost_records()  # before SQLite makes an empty file
        if self._is_current():
            return
        if self.read_only:
            raise StoreError(
                f"{self._place} was written by an older Modelyard, and cannot be brought up to date, since its folder "
                "cannot be written: run `modelyard doctor` once where it can"
            )
        with self._home.locked():
            if not self._is_current():
                if self._version() is None:
                    self._refuse_lost_records()
                self._migrate()

    def _refuse_lost_records(self) -> None:
        """Raise if there are blobs without a database: with a new one, nothing would refer to any of them."""
        if self._home.has_blobs():
            raise StoreError(
                f"{self._home.path} has checkpoints, but {self._place} has no tables: restore the database, or set "
                "MODELYARD_DATABASE_URL to the server that this home was used with. Nothing was changed."
            )

    def damage(self) -> str:
        """Return what is wrong with the file, or an empty string; a server looks after its own."""
        if not self.is_sqlite:
            return ""
        with self.read() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(3)").scalars().all()
        return "" if found == ["ok"] else "; ".join(found)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _only_reading(self) -> dict[str, Any]:
        """Return how to connect; anew for each transaction, since a writer elsewhere may come and go."""
        return {"creator": lambda: connect(self._home.database, timeout=BUSY_SECONDS), "poolclass": NullPool}

    def _lock(self, connection: Connection) -> None:
        """Become the one writer, or raise after ``BUSY_SECONDS``."""
        if self.is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})"))

    def _is_current(self) -> bool:
        version = self._version()
        if version is not None and version not in REVISIONS:
            raise SchemaVersionError(
                f"{self._place} was written by a newer Modelyard (schema {version}; this one knows up to "
                f"{REVISIONS[-1]}); upgrade Modelyard to open it. Nothing was changed."
            )
        return version == REVISIONS[-1]

    def _version(self) -> str | None:
        with self._translated(), self._engine.connect() as connection:
            try:
                return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
            except DBAPIError as error:
                if _is_missing_table(error):
                    return None
                raise

    def _migrate(self) -> None:
        # Lazy: Alembic takes longer to import than an up-to-date home takes to open.
        from modelyard.store.migrations.upgrade import upgrade  # noqa: PLC0415

        if self.is_sqlite:
            # Kept in the file; it cannot be set inside a transaction.
            with self._translated(), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with self.write() as connection:
            # Another process may have migrated while this one waited for the write lock (PostgreSQL, two hosts).
            upgrade(connection)

    @property
    def _place(self) -> str:
        return str(self._home.database) if self.is_sqlite else self.url.render_as_string(hide_password=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._translate(error) from error

    def _translate(self, error: DBAPIError) -> ModelyardError:
        """Turn a driver's error into one that says what to do."""
        cause = error.orig
        code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
        if code in _FULL_CODES or code == "53100" or (code in _IO_CODES and is_nearly_full(self._home.path)):
            return disk_full(self._home.path)
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or code == "55P03":
            return StoreError(f"{self._place} has been locked for {BUSY_SECONDS} s by another process; try again")
        if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return StoreError(f"{self._place} cannot be written; check who owns the folder")
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return StoreError(f"{self._place} is damaged ({cause}); restore it from a backup")
        if error.connection_invalidated or not code:
            return StoreError(f"cannot reach {self._place}: {_first_line(cause)}; is the server running?")
        return StoreError(f"{self._place} failed: {_first_line(cause)} ({code})")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError("the database URL is not valid; it looks like postgresql://user@host/name") from error
    if backend not in {"postgresql", "postgres"}:
        raise UserError(f"a database URL must start with postgresql://, not {backend}:// (SQLite needs no URL)")
    return parsed.set(drivername="postgresql+psycopg")


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("foreign_keys=ON", "synchronous=FULL", "temp_store=MEMORY", "cache_size=-8192"):
        connection.execute(f"PRAGMA {pragma}")


def _is_missing_table(error: DBAPIError) -> bool:
    undefined_table = "42P01"
    return "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", None) == undefined_table


def _first_line(cause: BaseException | None) -> str:
    return str(cause).strip().partition("\n")[0]
