"""The environment of the child processes that open a store."""

import os
from collections.abc import Mapping


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with a store's ``variables``: never arguments, since they hold passwords."""
    return {**os.environ, **variables}
