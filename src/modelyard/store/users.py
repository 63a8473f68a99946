"""Users and their passwords."""

import hashlib
import hmac
import secrets
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from modelyard.domain.access import Role, User, checked_name, checked_password
from modelyard.domain.errors import ConflictError, NotFoundError
from modelyard.domain.events import UserChanged, UserCreated, UserDeleted
from modelyard.store import clock, eventfeed
from modelyard.store.database import Database
from modelyard.store.references import new_id
from modelyard.store.schema_access import logins, users

_COST, _BLOCK, _PARALLEL = 1 << 15, 8, 3
"""Of scrypt, as OWASP recommends: 32 MiB and some tenths of a second for one guess."""
_SALT_BYTES = 16


class Users:
    """Who may use a server that asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[User]:
        """Return all users, by name."""
        with self._database.read() as connection:
            return [to_user(row) for row in connection.execute(select(users).order_by(users.c.name))]

    def has_admin(self) -> bool:
        """Whether there is somebody who may make the others."""
        with self._database.read() as connection:
            return _admins(connection) > 0

    def create(self, name: str, password: str, role: Role, *, actor: str) -> User:
        """Add a user. Raises ``UserError`` for a bad name or password, ``ConflictError`` for a name that is taken."""
        hashed = hash_password(checked_password(password))
        row = {
            "id": new_id(),
            "name": checked_name("name", name),
            "role": role.value,
            "password": hashed,
            "created_at": clock.now(),
        }
        with self._database.write() as connection:
            if _find(connection, name) is not None:
                raise ConflictError(f"there is a user {name!r} already")
            connection.execute(insert(users), row)
            eventfeed.append(connection, UserCreated(name=name, role=role), actor=actor)
            return to_user(_get(connection, name))

    def change(self, name: str, *, role: Role | None = None, password: str | None = None, actor: str) -> User:
        """Give a user another role or password; whoever is logged in as that user is logged out.

        Raises ``NotFoundError``; ``ConflictError`` if nobody would be left who may make users.
        """
        values: dict[str, Any] = {} if role is None else {"role": role.value}
        if password is not None:
            values["password"] = hash_password(checked_password(password))
        with self._database.write() as connection:
            found = _get(connection, name)
            if values:
                connection.execute(update(users).where(users.c.key == found.key).values(**values))
                connection.execute(delete(logins).where(logins.c.user_key == found.key))
                _keep_an_admin(connection, found)
                now = Role(values.get("role", found.role))
                news = UserChanged(name=name, role=now, password=password is not None)
                eventfeed.append(connection, news, actor=actor)
            return to_user(_get(connection, name))

    def delete(self, name: str, *, actor: str) -> None:
        """Delete a user with tokens and logins. Raises ``NotFoundError``, ``ConflictError`` for the last admin."""
        with self._database.write() as connection:
            found = _get(connection, name)
            connection.execute(delete(users).where(users.c.key == found.key))
            _keep_an_admin(connection, found)
            eventfeed.append(connection, UserDeleted(name=name), actor=actor)

    def check(self, name: str, password: str) -> User | None:
        """Return the user with this password. It takes as long whether there is such a user or not."""
        with self._database.read() as connection:
            found = _find(connection, name)
        right = _is_right(password, _NOBODY if found is None else found.password)
        return to_user(found) if found is not None and right else None


def to_user(row: Any) -> User:
    """Return what a row of the table tells."""
    return User(id=row.id, name=row.name, role=Role(row.role), created_at=row.created_at)


def hash_password(password: str) -> str:
    """Return what to keep of a password: how it was hashed, the salt, and the hash."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${salt.hex()}${_scrypt(password, salt, _COST).hex()}"


def _is_right(password: str, kept: str) -> bool:
    _, cost, block, parallel, salt, hashed = kept.split("$")
    found = _scrypt(password, bytes.fromhex(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, bytes.fromhex(hashed))


def _scrypt(password: str, salt: bytes, cost: int, block: int = _BLOCK, parallel: int = _PARALLEL) -> bytes:
    needed = 128 * block * (cost + parallel + 2)
    return hashlib.scrypt(
        password.encode(errors="surrogatepass"), salt=salt, n=cost, r=block, p=parallel, maxmem=2 * needed, dklen=32
    )


_NOBODY = f"scrypt${_COST}${_BLOCK}${_PARALLEL}${'00' * _SALT_BYTES}${'00' * 32}"
"""Of no password: what is compared for a name that nobody has."""


def _find(connection: Connection, name: str) -> Any:
    return connection.execute(select(users).where(users.c.name == name)).first()


def _get(connection: Connection, name: str) -> Any:
    found = _find(connection, name)
    if found is None:
        raise NotFoundError(f"no user {name[:80]!r}; see: modelyard users list")
    return found


def _admins(connection: Connection) -> int:
    query = select(func.count()).select_from(users).where(users.c.role == Role.ADMIN.value)
    return connection.execute(query).scalar() or 0


def _keep_an_admin(connection: Connection, before: Any) -> None:
    """Raises ``ConflictError`` if the last admin has gone; the transaction is rolled back then."""
    if before.role == Role.ADMIN.value and not _admins(connection):
        raise ConflictError(f"{before.name} is the last admin; make another one first: modelyard users add NAME")
