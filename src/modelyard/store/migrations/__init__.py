"""Schema versions, oldest first. Alembic runs them when a home is opened (see ``upgrade``)."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""Every revision in ``versions/``, in order; a home at any other version was written by a newer Modelyard."""

VERSION_TABLE = "schema_version"
