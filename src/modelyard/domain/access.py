"""Who may do what on a server that asks who somebody is."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from modelyard.domain.errors import UserError


class Permission(StrEnum):
    """What a request needs; also the scopes of a token."""

    READ = "read"
    WRITE = "write"
    """Change experiments and runs."""
    ADMIN = "admin"
    """Change users, secrets and what is stored."""


class Role(StrEnum):
    """What a user is."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.EDITOR: frozenset({Permission.READ, Permission.WRITE}),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody with a password."""

    id: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Token:
    """A user's key for programs. The key itself is shown once and not kept."""

    id: str
    user: str
    """The user's name."""
    name: str
    scopes: frozenset[Permission]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks, and what that one may do."""

    name: str
    permissions: frozenset[Permission]
    csrf: str | None = None
    """What a change has to carry besides a browser's cookie; None for who came without one."""


SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def checked_name(field: str, name: str) -> str:
    """Return a name of a user, token or secret. Raises ``UserError``."""
    if _NAME.fullmatch(name) is None:
        raise UserError(
            f"{field}: {name[:80]!r} is no name; use up to 64 letters, digits and . _ @ -, a letter or digit first"
        )
    return name


def checked_password(password: str) -> str:
    """Return a new password. Raises ``UserError``."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UserError(f"password: it has {len(password)} characters; use at least {SHORTEST_PASSWORD}")
    return password


def allowed(role: Role, scopes: Collection[Permission]) -> frozenset[Permission]:
    """Return what a token of a user may do: never more than the user, whatever it was made for."""
    return PERMISSIONS[role] & frozenset(scopes)
