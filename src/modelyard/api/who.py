"""Who asks, for the record of every request."""

import getpass


def actor() -> str:
    """Return the login name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "someone"
