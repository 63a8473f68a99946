"""The environment of the child processes that open a store."""

import os


def child_environment(database_url: str | None) -> dict[str, str]:
    """Return this process's environment with the database's URL: never an argument, since it may hold a password."""
    more = {} if database_url is None else {"MODELYARD_DATABASE_URL": database_url}
    return {**os.environ, **more}
