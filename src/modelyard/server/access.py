"""Finds out who asks, and whether that one may: before a request's body is read, and for every route there is."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.domain.access import Identity, Permission
from modelyard.domain.errors import StoreError
from modelyard.server.problems import kind_of, problem, status_of
from modelyard.store import Store

COOKIE = "modelyard_login"
CSRF_HEADER = "x-csrf-token"
_API = "/api/v1/"
_PUBLIC = frozenset({"/api/v1/session", "/api/v1/openapi.json"})
_OWN = ("/api/v1/tokens", "/api/v1/account")
"""What everybody may change for oneself."""
_DISK = ("/api/v1/folders", "/api/v1/data/", "/api/v1/inspections")
"""What reads the disk of the server's user is not for those who only look at runs."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "


@dataclass(frozen=True)
class _RefusedError(Exception):
    status: HTTPStatus
    kind: str
    detail: str


class Access:
    """Lets through who may. Without ``demanded`` everybody may everything, and is called ``actor``."""

    def __init__(self, app: ASGIApp, *, store: Store, demanded: bool, actor: str) -> None:
        self._app = app
        self._store = store
        self._everybody = None if demanded else Identity(name=actor, permissions=frozenset(Permission))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            identity = self._everybody or await run_sync(self._identify, headers)
            if scope["path"] not in _PUBLIC:
                _check(identity, headers, scope["method"], scope["path"])
        except _RefusedError as why:
            await _refuse(why)(scope, receive, send)
        except StoreError as error:
            await problem(status_of(error), kind_of(error), str(error))(scope, receive, send)
        else:
            state = scope.setdefault("state", {})
            state["identity"] = identity
            state["is_valid"] = lambda: self._everybody is not None or self._identify(headers) == identity
            await self._app(scope, receive, send)

    def _identify(self, headers: Headers) -> Identity | None:
        """Return who has the token or the cookie; None without either, or if it is not valid (any more)."""
        authorization = headers.get("authorization", "")
        if authorization.lower().startswith(_BEARER):
            return self._store.credentials.by_token(authorization[len(_BEARER) :].strip())
        cookie = cookie_of(headers)
        return None if cookie is None else self._store.credentials.by_login(cookie)


def cookie_of(headers: Headers) -> str | None:
    """Return what shows that a browser is logged in."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE)


def _check(identity: Identity | None, headers: Headers, method: str, path: str) -> None:
    """Raise ``_RefusedError`` for who may not."""
    if identity is None:
        raise _RefusedError(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "this server has to know who asks: log in, or send a token that is valid (Authorization: Bearer TOKEN)",
        )
    if method in _SAFE:
        needed = Permission.WRITE if path.startswith(_DISK) else Permission.READ
    else:
        needed = Permission.READ if path.startswith(_OWN) else Permission.WRITE
        sent = headers.get(CSRF_HEADER, "")
        if identity.csrf is not None and not hmac.compare_digest(sent.encode(), identity.csrf.encode()):
            raise _RefusedError(
                HTTPStatus.FORBIDDEN, "forbidden", f"{CSRF_HEADER}: a change by a browser needs that of its session"
            )
    if needed not in identity.permissions:
        raise _RefusedError(HTTPStatus.FORBIDDEN, "forbidden", _may_not(identity, needed))


def _may_not(identity: Identity, needed: Permission) -> str:
    return f"{identity.name} may not do that here: it needs the permission {needed.value!r}; an admin can give it"


def _refuse(why: _RefusedError) -> JSONResponse:
    response = problem(why.status, why.kind, why.detail)
    if why.status is HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = 'Bearer realm="modelyard"'
    return response


def _identity(request: Request) -> Identity | None:
    found: Identity | None = request.state.identity
    return found


def _known(request: Request) -> Identity:
    found = _identity(request)
    assert found is not None
    return found


def _admin(request: Request) -> Identity:
    found = _known(request)
    if Permission.ADMIN not in found.permissions:
        raise HTTPException(HTTPStatus.FORBIDDEN, _may_not(found, Permission.ADMIN))
    return found


def _is_valid(request: Request) -> Callable[[], bool]:
    valid: Callable[[], bool] = request.state.is_valid
    return valid


Anybody = Annotated[Identity | None, Depends(_identity)]
"""Who asks on a route that is for everybody."""
Known = Annotated[Identity, Depends(_known)]
"""Who asks."""
Admin = Annotated[Identity, Depends(_admin)]
"""Who asks on a route for admins alone."""
StillValid = Annotated[Callable[[], bool], Depends(_is_valid)]
"""Whether who began a long request may still go on."""
