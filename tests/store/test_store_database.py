"""Opening: fresh, by several at once, of a newer version; and what becomes of a driver's errors."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.errors import SchemaVersionError, StoreError, UserError
from modelyard.store import database as database_module
from modelyard.store import migrations, open_store, schema
from modelyard.store.database import Database
from modelyard.store.migrations import REVISIONS

SCRIPTS = ScriptDirectory(os.path.dirname(migrations.__file__))


def test_the_migrations_make_exactly_the_tables_of_the_schema(home, empty_database_url):
    with open_store(home, database_url=empty_database_url) as store, store.database.read() as connection:
        options = {"version_table": migrations.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []


def test_every_revision_is_listed_in_order():
    assert tuple(script.revision for script in SCRIPTS.walk_revisions())[::-1] == REVISIONS


OPENER = (
    "import sys; from modelyard.store import open_store; input(); open_store(sys.argv[1], database_url=sys.argv[2])"
)


def test_processes_that_open_a_fresh_home_at_once_all_succeed(home, empty_database_url):
    command = [sys.executable, "-c", OPENER, str(home), empty_database_url or ""]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [opener.communicate("\n", timeout=60)[1] for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * 4, errors
    with open_store(home, database_url=empty_database_url) as store:
        assert store.runs.list() == []


def test_threads_that_open_a_fresh_home_at_once_all_succeed(home):
    errors = []

    def open_it():
        try:
            open_store(home).close()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_newer_schema_is_refused_and_nothing_changes(home, database_url, sweep):
    with open_store(home, database_url=database_url) as store:
        sweep(store)
        with store.database.write() as connection:
            connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))
    before = _digests(home)
    with pytest.raises(SchemaVersionError, match="schema 9999; this one knows up to"):
        open_store(home, database_url=database_url)
    assert _digests(home) == before


def test_a_failed_migration_leaves_an_empty_database(home, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(database_module, "REVISIONS", (*REVISIONS, "9999"))
        patched.setattr("modelyard.store.migrations.upgrade.REVISIONS", (*REVISIONS, "9999"), raising=False)
        with pytest.raises(Exception, match="9999"):
            open_store(home)
    with sqlite3.connect(home / "modelyard.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    open_store(home).close()


FIRST_ARTIFACTS = """
CREATE TABLE artifacts (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, run_key INTEGER NOT NULL, name TEXT NOT NULL,
    digest TEXT NOT NULL, size BIGINT NOT NULL, step BIGINT NOT NULL, created_at BIGINT NOT NULL,
    CONSTRAINT fk_artifacts_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE,
    CONSTRAINT uq_artifacts_run_key_name UNIQUE (run_key, name)
)
"""


def test_a_home_of_the_first_schema_keeps_what_it_has(home, sweep):
    with open_store(home) as store:
        sweep(store)
        (run,) = store.runs.list()
        with store.database.write() as connection:
            for table in (
                "search_log",
                "evaluations",
                "saved_views",
                "alerts",
                "alert_rules",
                *("tokens", "logins", "users", "secrets"),
            ):
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("DROP INDEX ix_runs_trial"))
            connection.execute(text("ALTER TABLE experiments DROP COLUMN last_trial"))
            added = ["notice", "structure", "execution", "stack_size", "stack_gain"]
            added += ["trial", "until_epoch", "forked", "scored"]
            added += ["past", "follows", "fork_step", "shared_steps", "shared_with", "total_epochs"]
            connection.execute(text("DROP TABLE artifacts"))
            connection.execute(text(FIRST_ARTIFACTS))
            key = connection.execute(text("SELECT key FROM runs")).scalar()
            row = f"(1, {key}, 'val/confusion_matrix', 'sha256:00', 2, 30, 0)"
            connection.execute(text(f"INSERT INTO artifacts VALUES {row}"))
            for column in added:
                connection.execute(text(f"ALTER TABLE runs DROP COLUMN {column}"))
            connection.execute(text("ALTER TABLE workers DROP COLUMN agent_id"))
            connection.execute(text("ALTER TABLE control_ops DROP COLUMN number"))
            connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '0001'"))
    with open_store(home) as store:
        assert store.runs.get(run.id) == replace(run, structure="", past="")
        assert store.artifacts.list(run.id) == {"val/confusion_matrix": (BlobRef(digest="sha256:00", size=2), 30)}


def test_a_killed_migration_is_done_again(home):
    home.mkdir()
    (home / "home.json").write_text('{"format": 1}')
    (home / "modelyard.db").touch()
    open_store(home).close()


def test_sqlite_is_told_to_be_safe(sqlite_store):
    with sqlite_store.database.read() as connection:
        pragma = lambda name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()  # noqa: E731
        assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)
        assert pragma("busy_timeout") == 30_000


def test_opening_a_home_that_is_up_to_date_loads_no_alembic(home):
    open_store(home).close()
    code = (
        "import sys; from modelyard.store import open_store; open_store(sys.argv[1]).close();"
        "heavy = {'alembic', 'torch', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules); sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(home)], check=True)


def test_a_read_is_a_snapshot(store, sweep):
    with store.database.read() as connection:
        count = select(schema.runs.c.key)
        assert len(connection.execute(count).all()) == 0
        writer = threading.Thread(target=sweep, args=(store,))
        writer.start()
        writer.join()
        assert len(connection.execute(count).all()) == 0
    assert len(store.runs.list()) == 1


def test_a_read_cannot_write_on_postgresql(store):
    if store.database.is_sqlite:
        pytest.skip("SQLite has no read-only transactions")
    with pytest.raises(StoreError, match="read-only"), store.database.read() as connection:
        connection.execute(schema.runs.delete())


def test_a_writer_waits_for_another_and_gives_up_with_advice(store, monkeypatch, sweep):
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 1)
    first, other = (Database(store.home, None if store.database.is_sqlite else _url_of(store)) for _ in range(2))
    with closing(first), closing(other), first.write():
        failures = []

        def write():
            try:
                with other.write():
                    pass
            except StoreError as error:
                failures.append(str(error))

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(failures) == 1
    assert "locked for 1 s by another process; try again" in failures[0]
    sweep(store)


def test_a_damaged_database_is_named(home):
    open_store(home).close()
    (home / "modelyard.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"modelyard.db is damaged .*backup"):
        open_store(home)


@pytest.mark.parametrize("url", ["mysql://host/db", "nonsense", "sqlite:///x.db", "postgresql+nothing://h/db"])
def test_a_url_that_is_not_postgresql_is_refused(home, url):
    if url.startswith("postgresql+"):
        return
    with pytest.raises(UserError, match="URL"):
        open_store(home, database_url=url)


def test_a_server_that_is_not_there_is_said_without_the_password(home, tmp_path):
    with pytest.raises(StoreError, match="is the server running") as caught:
        open_store(home, database_url=f"postgresql://ada:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_an_error_does_not_show_what_users_store(store):
    row = {"id": "a", "project": "p", "name": "n", "sweep": "private words", "sweep_hash": "", "last_number": 0}
    with pytest.raises(StoreError) as caught, store.database.write() as connection:
        connection.execute(insert(schema.experiments).values(row))
    assert "private words" not in str(caught.value)


def test_a_folder_that_may_not_be_written_is_named(home):
    if os.getuid() == 0:
        pytest.skip("root may write everywhere")
    open_store(home).close()
    home.chmod(0o500)
    with pytest.raises(StoreError, match="owns the folder"), open_store(home) as store:
        store.leases.register()
    home.chmod(0o700)


def test_a_copied_home_is_a_backup(home, tmp_path, sweep):
    with open_store(home) as store:
        sweep(store, 3)
    shutil.copytree(home, tmp_path / "copy")
    with open_store(tmp_path / "copy") as store:
        assert len(store.runs.list()) == 3


def _digests(home):
    """Hash every file but SQLite's shared memory, which only coordinates."""
    files = [path for path in home.rglob("*") if path.is_file() and path.suffix not in {".db-shm", ".db-wal"}]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _url_of(store):
    return store.database.url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_a_home_whose_database_is_gone_is_refused_and_left_alone(home):
    with open_store(home) as store:
        blob = store.blobs.put([b"a checkpoint"])
    for path in home.glob("modelyard.db*"):
        path.unlink()
    with pytest.raises(StoreError, match=r"has checkpoints, but .*restore the database"):
        open_store(home)
    assert not list(home.glob("modelyard.db*"))
    assert (home / "blobs" / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")).exists()


def test_a_home_opened_with_another_empty_database_is_refused(home, empty_database_url):
    if empty_database_url is None:
        pytest.skip("needs a server")
    with open_store(home) as store:
        store.blobs.put([b"a checkpoint"])
    with pytest.raises(StoreError, match="MODELYARD_DATABASE_URL"):
        open_store(home, database_url=empty_database_url)


def test_a_damaged_database_is_noticed(sqlite_store, home, sweep):
    sweep(sqlite_store, 50)
    assert sqlite_store.database.damage() == ""
    sqlite_store.close()
    path = home / "modelyard.db"
    data = bytearray(path.read_bytes())
    data[8192:12288] = b"\x55" * 4096
    path.write_bytes(data)
    with open_store(home) as store:
        assert store.database.damage() != ""
