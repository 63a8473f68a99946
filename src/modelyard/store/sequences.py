"""The highest number that a table ever gave to a row, deleted ones included, and going on from a higher one."""

from sqlalchemy import Connection, text

from modelyard.store.schema import control_ops

_TABLE = control_ops.name


def last_request(connection: Connection) -> int:
    """Return the highest id that a control operation ever had here."""
    if connection.dialect.name == "sqlite":
        query = "SELECT seq FROM sqlite_sequence WHERE name = :table"
        return connection.execute(text(query), {"table": _TABLE}).scalar() or 0
    query = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM control_ops_id_seq"
    return int(connection.execute(text(query)).scalar_one())


def go_on_after(connection: Connection, number: int) -> None:
    """Let the next control operation have a higher id than ``number``, inside a write transaction."""
    if last_request(connection) >= number:
        return
    values = {"table": _TABLE, "number": number}
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT setval('control_ops_id_seq', :number)"), {"number": number})
        return
    known = connection.execute(text("UPDATE sqlite_sequence SET seq = :number WHERE name = :table"), values)
    if known.rowcount == 0:  # nothing was ever asked here
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :number)"), values)
