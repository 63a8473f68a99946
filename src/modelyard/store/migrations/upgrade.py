"""Runs the migrations inside one transaction: either all of them are done, or none."""

from pathlib import Path

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from modelyard.store.migrations import REVISIONS, VERSION_TABLE


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest revision; does nothing if they are there already."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": VERSION_TABLE,
            "transactional_ddl": True,  # SQLite can, if told to begin first
            "fn": lambda revision, _context: script._upgrade_revs(REVISIONS[-1], revision),
        },
    )
    with Operations.context(context):
        context.run_migrations()
