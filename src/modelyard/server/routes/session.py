"""Logging in and out with a browser, and one's own password."""

from http import HTTPStatus
from typing import Annotated

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.exceptions import HTTPException

from modelyard.domain.access import LONGEST_PASSWORD, Identity, Permission
from modelyard.domain.errors import UserError
from modelyard.server.access import COOKIE, Anybody, Known, cookie_of
from modelyard.server.attempts import Attempts
from modelyard.server.context import Context, Here
from modelyard.server.views import View
from modelyard.store.credentials import LOGIN_DAYS

router = APIRouter(tags=["session"])
HASHES_AT_ONCE = 2
"""Each takes 32 MiB and a core."""
Password = Annotated[SecretStr, Field(max_length=LONGEST_PASSWORD)]


class Credentials(BaseModel):
    """A name and its password."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)]
    password: Password


class NewPassword(BaseModel):
    """One's old password, and the one to use from now on."""

    model_config = ConfigDict(extra="forbid")

    old: Password
    new: Password


class SessionView(View):
    """Who asks."""

    demanded: bool
    """Whether this server has to know who asks."""
    name: str | None
    """Null for somebody who is not logged in."""
    permissions: list[Permission]
    csrf: str | None
    """What a browser's changes have to carry as ``X-CSRF-Token``; null where there is no need."""


def _attempts(request: Request) -> Attempts:
    attempts: Attempts = request.app.state.attempts
    return attempts


def _hashing(request: Request) -> CapacityLimiter:
    limiter: CapacityLimiter = request.app.state.hashing
    return limiter


Guesses = Annotated[Attempts, Depends(_attempts)]
Hashing = Annotated[CapacityLimiter, Depends(_hashing)]


@router.get("/session")
def session(here: Here, who: Anybody) -> SessionView:
    """Say who asks, and what that one may."""
    return _view(here, who)


@router.post("/session")
async def log_in(
    *, here: Here, request: Request, response: Response, given: Credentials, attempts: Guesses, hashing: Hashing
) -> SessionView:
    """Log in with a browser: the cookie is good for two weeks, or until the password or role changes."""
    address = request.client.host if request.client is not None else ""
    _check_patience(attempts, address, given.name)
    password = given.password.get_secret_value()
    user = await run_sync(here.store.users.check, given.name, password, limiter=hashing)
    if user is None:
        attempts.failed(address, given.name)
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "there is no user with that name and password")
    attempts.succeeded(address, given.name)
    secret = await run_sync(here.store.credentials.log_in, user.id)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=LOGIN_DAYS * 24 * 3600,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _view(here, await run_sync(here.store.credentials.by_login, secret))


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT)
def log_out(here: Here, request: Request, response: Response) -> None:
    """Log out."""
    if (secret := cookie_of(request.headers)) is not None:
        here.store.credentials.log_out(secret)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.post("/account/password", status_code=HTTPStatus.NO_CONTENT)
async def change_password(
    *, here: Here, request: Request, who: Known, given: NewPassword, attempts: Guesses, hashing: Hashing
) -> None:
    """Change one's own password; every browser that is logged in as oneself is logged out."""
    address = request.client.host if request.client is not None else ""
    _check_patience(attempts, address, who.name)
    user = await run_sync(here.store.users.check, who.name, given.old.get_secret_value(), limiter=hashing)
    if user is None:
        attempts.failed(address, who.name)
        raise UserError("old: that is not your password")
    password = given.new.get_secret_value()
    change = here.store.users.change
    await run_sync(lambda: change(user.name, password=password, actor=who.name), limiter=hashing)


def _check_patience(attempts: Attempts, address: str, name: str) -> None:
    if seconds := attempts.wait(address, name):
        raise HTTPException(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"too many wrong passwords; try again in {seconds} s",
            headers={"retry-after": str(seconds)},
        )


def _view(here: Context, who: Identity | None) -> SessionView:
    return SessionView(
        demanded=here.demands_login,
        name=None if who is None else who.name,
        permissions=[] if who is None else sorted(who.permissions),
        csrf=None if who is None else who.csrf,
    )
