"""Users, tokens and secrets."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.exceptions import HTTPException

from modelyard.domain.access import LONGEST_PASSWORD, Permission, Role
from modelyard.server.access import Admin, Known
from modelyard.server.context import Here
from modelyard.server.views import View
from modelyard.store.vault import LONGEST

router = APIRouter(tags=["access"])
LONGEST_DAYS = 3650
Password = Annotated[SecretStr, Field(max_length=LONGEST_PASSWORD)]


class UserView(View):
    """A user."""

    id: str
    name: str
    role: Role
    created_at: datetime


class NewUser(BaseModel):
    """A user to add."""

    model_config = ConfigDict(extra="forbid")

    name: str
    password: Password
    role: Role = Role.EDITOR


class UserChange(BaseModel):
    """What is to be another."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    password: Password | None = None


class TokenView(View):
    """A token, without its secret."""

    id: str
    user: str
    name: str
    scopes: list[Permission]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""


class NewToken(BaseModel):
    """A token to make for oneself."""

    model_config = ConfigDict(extra="forbid")

    name: str
    scopes: Annotated[list[Permission], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] | None = 90
    """How long it is valid; null for ever."""


class MadeToken(View):
    """A new token."""

    token: TokenView
    secret: str
    """It is shown this once."""


class SecretView(View):
    """A secret, without its value."""

    name: str
    changed_at: datetime
    changed_by: str


class NewSecret(BaseModel):
    """A secret's value."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST)]


@router.get("/users")
def users(here: Here, _: Admin) -> list[UserView]:
    """List users."""
    return [UserView.model_validate(one) for one in here.store.users.list()]


@router.post("/users", status_code=HTTPStatus.CREATED)
def add_user(here: Here, who: Admin, given: NewUser) -> UserView:
    """Add a user."""
    password = given.password.get_secret_value()
    return UserView.model_validate(here.store.users.create(given.name, password, given.role, actor=who.name))


@router.patch("/users/{name}")
def change_user(here: Here, who: Admin, name: str, given: UserChange) -> UserView:
    """Give a user another role or password; that one is logged out everywhere."""
    password = None if given.password is None else given.password.get_secret_value()
    return UserView.model_validate(here.store.users.change(name, role=given.role, password=password, actor=who.name))


@router.delete("/users/{name}", status_code=HTTPStatus.NO_CONTENT)
def delete_user(here: Here, who: Admin, name: str) -> None:
    """Delete a user, with tokens and logins."""
    here.store.users.delete(name, actor=who.name)


@router.get("/tokens")
def tokens(here: Here, who: Known) -> list[TokenView]:
    """List one's own tokens; an admin sees those of all."""
    found = here.store.credentials.tokens(None if Permission.ADMIN in who.permissions else who.name)
    return [TokenView.model_validate(one) for one in found]


@router.post("/tokens", status_code=HTTPStatus.CREATED)
def make_token(here: Here, who: Known, given: NewToken) -> MadeToken:
    """Make a token for oneself: logged in with a browser, so that a token that leaked makes no others."""
    if who.csrf is None:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "a token is made by who is logged in, or with: modelyard tokens create"
        )
    if beyond := set(given.scopes) - who.permissions:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"scopes: {who.name} has no permission {min(beyond).value!r}")
    expires_at = None if given.days is None else datetime.now(UTC) + timedelta(days=given.days)
    token, secret = here.store.credentials.create_token(
        who.name, given.name, given.scopes, expires_at=expires_at, actor=who.name
    )
    return MadeToken(token=TokenView.model_validate(token), secret=secret)


@router.delete("/tokens/{token_id}", status_code=HTTPStatus.NO_CONTENT)
def revoke_token(here: Here, who: Known, token_id: str) -> None:
    """Revoke one of one's own tokens; an admin may revoke any."""
    user = None if Permission.ADMIN in who.permissions else who.name
    here.store.credentials.revoke_token(token_id, user=user, actor=who.name)


@router.get("/secrets")
def secrets(here: Here, _: Admin) -> list[SecretView]:
    """List the names of secrets. No route returns a value."""
    return [SecretView.model_validate(one) for one in here.store.vault.list()]


@router.put("/secrets/{name}", status_code=HTTPStatus.NO_CONTENT)
def set_secret(here: Here, who: Admin, name: str, given: NewSecret) -> None:
    """Set a secret, such as ``HF_TOKEN``: processes that train find it in their environment from their next start."""
    here.store.vault.set(name, given.value.get_secret_value(), actor=who.name)


@router.delete("/secrets/{name}", status_code=HTTPStatus.NO_CONTENT)
def delete_secret(here: Here, who: Admin, name: str) -> None:
    """Forget a secret."""
    here.store.vault.delete(name, actor=who.name)
