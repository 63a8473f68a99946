"""What shows who asks: tokens of programs, and logins of browsers. Only digests are kept."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select, update

from modelyard.domain.access import PERMISSIONS, Identity, Permission, Role, Token, allowed, checked_name
from modelyard.domain.errors import ConflictError, NotFoundError, UserError
from modelyard.domain.events import LoggedIn, TokenCreated, TokenRevoked
from modelyard.store import clock, eventfeed
from modelyard.store.database import Database
from modelyard.store.references import new_id
from modelyard.store.schema_access import logins, tokens, users

TOKEN_PREFIX = "modelyard_"  # noqa: S105 - the part that all of them share
"""So that scanners for secrets in source code know what they found."""
LOGIN_DAYS = 14
_USED = timedelta(minutes=1)
"""How exactly the last use is known: not every request is worth a write."""


class Credentials:
    """Gives out tokens and logins, and finds who has one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_token(
        self,
        user: str,
        name: str,
        scopes: Collection[Permission],
        *,
        expires_at: datetime | None = None,
        actor: str,
    ) -> tuple[Token, str]:
        """Make a token; return it with the secret that is shown this once.

        Raises ``NotFoundError`` for an unknown user, ``UserError`` for a bad name, no scope or a time that is over,
        ``ConflictError`` for a name that the user has given already.
        """
        if not scopes:
            raise UserError(f"scopes: name at least one of {', '.join(Permission)}")
        if expires_at is not None and expires_at <= clock.now():
            raise UserError(f"expires_at: {expires_at.isoformat()} is over")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = {
            "id": new_id(),
            "name": checked_name("name", name),
            "digest": _digest(secret),
            "scopes": ",".join(sorted(scopes)),
            "created_at": clock.now(),
            "expires_at": expires_at,
            "last_used_at": None,
        }
        with self._database.write() as connection:
            owner = connection.execute(select(users.c.key).where(users.c.name == user)).scalar()
            if owner is None:
                raise NotFoundError(f"no user {user[:80]!r}; see: modelyard users list")
            taken = (tokens.c.user_key == owner) & (tokens.c.name == name)
            if connection.execute(select(tokens.c.key).where(taken)).first() is not None:
                raise ConflictError(f"{user} has a token {name!r} already; revoke it or choose another name")
            connection.execute(insert(tokens), row | {"user_key": owner})
            news = TokenCreated(user=user, name=name, scopes=sorted(scopes), expires_at=expires_at)
            eventfeed.append(connection, news, actor=actor)
            made = connection.execute(_TOKENS.where(tokens.c.id == row["id"])).one()
        return _to_token(made), secret

    def tokens(self, user: str | None = None) -> list[Token]:
        """Return the tokens of all users, or of one, oldest first."""
        query = _TOKENS.order_by(tokens.c.key)
        if user is not None:
            query = query.where(users.c.name == user)
        with self._database.read() as connection:
            return [_to_token(row) for row in connection.execute(query)]

    def revoke_token(self, token_id: str, *, user: str | None = None, actor: str) -> None:
        """Delete a token, if given one of this user. Raises ``NotFoundError``."""
        with self._database.write() as connection:
            found = connection.execute(_TOKENS.where(tokens.c.id == token_id)).first()
            if found is None or user not in {None, found.user}:
                raise NotFoundError(f"no token has the id {token_id[:80]!r}")
            connection.execute(delete(tokens).where(tokens.c.key == found.key))
            eventfeed.append(connection, TokenRevoked(user=found.user, name=found.name), actor=actor)

    def by_token(self, secret: str) -> Identity | None:
        """Return who has a token that is valid now."""
        now = clock.now()
        query = _TOKENS.where(tokens.c.digest == _digest(secret), _is_valid(now))
        with self._database.read() as connection:
            found = connection.execute(query).first()
        if found is None:
            return None
        if not self._database.read_only and (found.last_used_at is None or now - found.last_used_at >= _USED):
            with self._database.write() as connection:
                connection.execute(update(tokens).where(tokens.c.key == found.key).values(last_used_at=now))
        return Identity(name=found.user, permissions=allowed(Role(found.role), _scopes(found)))

    def log_in(self, user_id: str, *, days: float = LOGIN_DAYS) -> str:
        """Begin a login of a user who gave the right password; return the secret for the cookie."""
        secret, now = secrets.token_urlsafe(32), clock.now()
        row = {
            "digest": _digest(secret),
            "csrf": secrets.token_urlsafe(32),
            "created_at": now,
            "expires_at": now + timedelta(days=days),
        }
        with self._database.write() as connection:
            found = connection.execute(select(users).where(users.c.id == user_id)).one()
            connection.execute(delete(logins).where(logins.c.expires_at <= now))
            connection.execute(insert(logins), row | {"user_key": found.key})
            eventfeed.append(connection, LoggedIn(name=found.name), actor=found.name)
        return secret

    def by_login(self, secret: str) -> Identity | None:
        """Return who has a login that is valid now."""
        query = (
            select(logins.c.csrf, users.c.name, users.c.role)
            .join_from(logins, users)
            .where(logins.c.digest == _digest(secret), logins.c.expires_at > clock.now())
        )
        with self._database.read() as connection:
            found = connection.execute(query).first()
        if found is None:
            return None
        return Identity(name=found.name, permissions=PERMISSIONS[Role(found.role)], csrf=found.csrf)

    def log_out(self, secret: str) -> None:
        """End a login; one that is over already is no mistake."""
        with self._database.write() as connection:
            connection.execute(delete(logins).where(logins.c.digest == _digest(secret)))


_TOKENS = select(tokens, users.c.name.label("user"), users.c.role).join_from(tokens, users)


def _is_valid(now: datetime) -> Any:
    return or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _scopes(row: Any) -> frozenset[Permission]:
    return frozenset(map(Permission, row.scopes.split(",")))


def _to_token(row: Any) -> Token:
    return Token(
        id=row.id,
        user=row.user,
        name=row.name,
        scopes=_scopes(row),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
