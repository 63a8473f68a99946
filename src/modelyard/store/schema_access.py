"""Tables of users, of what shows who asks, of secrets and of alerts; the others are in ``schema``."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from modelyard.store.schema import Key, UtcTime, metadata


def _user() -> Column[int]:
    return Column("user_key", Key, ForeignKey("users.key", ondelete="CASCADE"), nullable=False)


users = Table(
    "users",
    metadata,
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password", Text, nullable=False),  # salted and hashed, with how it was hashed
    Column("created_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    _user(),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256: a token has too many bits to be guessed
    Column("scopes", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("last_used_at", UtcTime),
    UniqueConstraint("user_key", "name"),
    sqlite_autoincrement=True,
)

logins = Table(
    "logins",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of the cookie
    _user(),
    Column("csrf", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),  # encrypted with the home's key
    Column("changed_at", UtcTime, nullable=False),
    Column("changed_by", Text, nullable=False),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("rule", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),  # the newest event that it has looked at
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    sqlite_autoincrement=True,
)

# One row for each run that a rule has told of, so that it tells once, whoever looks.
alerts = Table(
    "alerts",
    metadata,
    Column("rule_key", Key, ForeignKey("alert_rules.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("run_id", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcTime, nullable=False),  # nobody sends it before
    Column("problem", Text, nullable=False),
    Index("ix_alerts_delivery", "delivery", "next_at"),
)
