"""Secrets that runs need, such as a token for a model hub: kept encrypted, given to engines, never shown again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from modelyard.domain.errors import NotFoundError, UserError
from modelyard.domain.events import SecretChanged, SecretDeleted
from modelyard.store import clock, eventfeed
from modelyard.store.database import Database
from modelyard.store.home import Home
from modelyard.store.schema_access import secrets

if TYPE_CHECKING:
    from modelyard.store.cipher import Cipher

LONGEST = 10_000


@dataclass(frozen=True, kw_only=True)
class SecretInfo:
    """What is told of a secret."""

    name: str
    changed_at: datetime
    changed_by: str


class Vault:
    """Encrypted with a key that is a file of the home, so that a copy of the database alone tells nothing."""

    def __init__(self, home: Home, database: Database) -> None:
        self._database = database
        self._home = home

    def list(self) -> list[SecretInfo]:
        """Return all secrets by name, without their values."""
        query = select(secrets.c.name, secrets.c.changed_at, secrets.c.changed_by).order_by(secrets.c.name)
        with self._database.read() as connection:
            return [SecretInfo(**row._mapping) for row in connection.execute(query)]

    def set(self, name: str, value: str, *, actor: str) -> None:
        """Keep a secret, in place of one of the same name.

        Raises ``UserError`` for a name that is none of an environment variable, or an empty, long or binary value.
        """
        checked_variable(name)
        if not 0 < len(value) <= LONGEST or "\0" in value:
            raise UserError(f"value: it must have between 1 and {LONGEST} characters, and no zero byte")
        row = {
            "name": name,
            "value": self._cipher().encrypt(value),
            "changed_at": clock.now(),
            "changed_by": actor,
        }
        with self._database.write() as connection:
            connection.execute(delete(secrets).where(secrets.c.name == name))
            connection.execute(insert(secrets), row)
            eventfeed.append(connection, SecretChanged(name=name), actor=actor)

    def delete(self, name: str, *, actor: str) -> None:
        """Forget a secret. Raises ``NotFoundError``."""
        with self._database.write() as connection:
            if connection.execute(delete(secrets).where(secrets.c.name == name)).rowcount == 0:
                raise NotFoundError(f"no secret {name[:80]!r}")
            eventfeed.append(connection, SecretDeleted(name=name), actor=actor)

    def environment(self) -> Mapping[str, str]:
        """Return all secrets, for the environment of a process that trains. Raises ``StoreError`` without the key."""
        with self._database.read() as connection:
            rows = connection.execute(select(secrets)).all()
        if not rows:
            return {}
        cipher = self._cipher()
        return {row.name: cipher.decrypt(row.value) for row in rows}

    def _cipher(self) -> "Cipher":
        from modelyard.store.cipher import Cipher  # noqa: PLC0415 - few homes have secrets, and it takes long to import

        return Cipher(self._home)


def checked_variable(name: str) -> str:
    """Return a secret's name, which is that of an environment variable. Raises ``UserError``."""
    if not (name.isascii() and name.isidentifier() and name == name.upper() and len(name) <= 64):
        raise UserError(
            f"name: {name[:80]!r} is no name of a secret; it becomes a variable of the environment: HF_TOKEN"
        )
    if name in _NOT_SECRET or name.startswith(("LD_", "PYTHON", "MODELYARD_")):
        raise UserError(f"name: {name} decides how processes start, and is no secret")
    return name


_NOT_SECRET = frozenset({"PATH", "HOME", "SHELL", "USER", "TMPDIR", "VIRTUAL_ENV", "IFS"})
